"""What is uploaded: pictures that attack are refused in processes of their own."""

from __future__ import annotations

import io
import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data.image_data import ImageError
from viceversa.data.image_io import read_image
from viceversa.serve.codecs import Codecs, Limits, _Process

LIMITS = Limits(bytes=10**6, pixels=10**6, memory=400 * 10**6, seconds=60)


@pytest.fixture(scope="module")
def codecs() -> Iterator[Codecs]:
    found = Codecs(1, LIMITS)
    yield found
    found.close()


def picture(size: tuple[int, int] = (8, 6), format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def npy(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
ATTACKS = {
    "nothing": b"",
    "SVG": SVG,
    "SVG after a mark": b"\xef\xbb\xbf \n" + SVG,
    "XML": b"<?xml version='1.0'?>" + SVG,
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "text": b"#!/bin/sh\nrm -rf ~",
    "PostScript, which starts a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "PDF": b"%PDF-1.7\n",
    "archive": b"PK\x03\x04" + bytes(40),
    "image bomb": png(60_000, 60_000, bytes(10**6)),
    "many pixels": png(1001, 1000, bytes(10)),
    "many pixels that are there": picture((1100, 1000)),
    "half a picture": picture((600, 600), quality=95)[:500],
    "array of more than all memory": npy("(1000000, 1000000, 3)"),
    "array of objects": pickled(),
    "TIFF bomb": picture((900, 900), "TIFF", compression="tiff_deflate").replace(
        struct.pack("<HHII", 257, 3, 1, 900), struct.pack("<HHII", 257, 4, 1, 2**31 - 1)
    ),
    "animation": picture((8, 8), "GIF", save_all=True, append_images=frames, duration=40),
    "pages": picture((8, 8), "TIFF", save_all=True, append_images=frames),
    "oversize": bytes(10**6 + 1),
}


@pytest.mark.parametrize("content", ATTACKS.values(), ids=list(ATTACKS))
def test_attacks_are_refused_in_one_line(codecs: Codecs, content: bytes) -> None:
    with pytest.raises(ImageError) as error:
        codecs.decode(content)
    assert 0 < len(str(error.value).splitlines()) == 1
    assert "viceversa-" not in str(error.value)  # no paths of the server
    assert codecs.decode(picture()).image.pixels.shape == (6, 8, 3)


def test_a_picture_is_decoded_as_translate_does(codecs: Codecs, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = {
        "turned.jpg": picture((30, 20), "JPEG", exif=exif),
        "deep.png": b"",
        "through.png": b"",
        "p.webp": picture((9, 7), "WEBP"),
    }
    deep, through = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(deep, "PNG")
    Image.new("RGBA", (9, 7), (200, 100, 0, 128)).save(through, "PNG")
    content |= {"deep.png": deep.getvalue(), "through.png": through.getvalue()}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
        expected, found = read_image(tmp_path / name), codecs.decode(data)
        assert found.suffix == Path(name).suffix
        assert found.image.pixels.dtype == expected.pixels.dtype
        assert np.array_equal(found.image.pixels, expected.pixels)
        assert (found.image.alpha is None) == (expected.alpha is None)
        assert (found.image.gray, found.image.depth) == (expected.gray, expected.depth)
        again = codecs.decode(codecs.encode(found.image, found.metadata, ".png"))
        assert np.array_equal(again.image.pixels, expected.pixels)


def test_a_process_that_dies_or_hangs_costs_one_picture() -> None:
    codecs = Codecs(1, LIMITS)
    codecs.decode(picture())
    process = codecs._free.queue[0]
    assert isinstance(process, _Process)
    for signum in (signal.SIGTERM, signal.SIGINT):
        os.kill(process.process.pid, signum)
    codecs.decode(picture())  # those are for the server, which ends its processes when all is done
    os.kill(process.process.pid, signal.SIGKILL)
    with pytest.raises(ImageError):
        codecs.decode(picture())
    codecs.decode(picture())
    other = codecs._free.queue[0]
    os.kill(other.process.pid, signal.SIGSTOP)
    codecs.limits = Limits(seconds=0.2)
    with pytest.raises(ImageError):
        codecs.decode(picture())
    codecs.limits = LIMITS
    codecs.decode(picture())
    folders = [Path(one.folder.name) for one in (process, other, codecs._free.queue[0])]
    codecs.close()
    assert not any(folder.exists() for folder in folders)
