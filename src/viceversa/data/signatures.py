"""What a file is that cannot be read as an image, told from its first bytes; so that the message can say so."""

from __future__ import annotations

from PIL import Image

CONVERT = "which is not read here; convert it to PNG or JPEG"
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}
BRANDS |= {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "Canon raw"}
PICTURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"\0\0\1\0": "Windows icon",
    b"DDS ": "DirectDraw texture",
    b"gimp xcf": "GIMP",
    b"%!PS": "PostScript",
    b"SIMPLE  =": "FITS",
}
OTHERS = {
    b"version https://git-lfs.github.com": "a Git LFS pointer, not the picture itself; fetch it with `git lfs pull`",
    b"%PDF": "a PDF document, not a picture",
    b"PK\x03\x04": "a ZIP archive, not a picture; unpack it",
    b"\x1f\x8b": "a gzip archive, not a picture; unpack it",
    b"Rar!": "a RAR archive, not a picture; unpack it",
    b"7z\xbc\xaf'\x1c": "a 7-Zip archive, not a picture; unpack it",
    b"\x89HDF": "an HDF5 file, not a picture",
}


def kind_of(head: bytes) -> str | None:
    """Return what a file is by its first bytes, and the remedy; None if they are a picture's, or unknown."""
    if not head:
        return "the file is empty"
    if not head.strip(b"\0"):
        return "only zeros, as a download or copy that was broken off leaves them"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        drawing = b"<svg" in text.lower()
        return f"an SVG drawing, {CONVERT}" if drawing else "a web page or other text, not a picture"
    if head[4:8] == b"ftyp" and head[8:12] not in BRANDS:
        return "a video or sound, not a picture"
    names = [name for magic, name in PICTURES.items() if head.startswith(magic)]
    for name in [*names, *filter(None, [BRANDS.get(head[8:12])])]:
        readable = name.replace(" ", "") in Image.OPEN  # then it is damaged
        return None if readable else f"a picture in {name}, {CONVERT}"
    for magic, what in OTHERS.items():
        if text.startswith(magic):
            return what
    is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in head) and not head.startswith(b"P")
    return f"a text, not a picture ({head[:40].decode(errors='replace').strip()!r})" if is_text else None
