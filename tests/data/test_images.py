"""Reading, converting and writing pictures."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from viceversa.data.image_data import ImageData, ImageError, from_tensor, normalise, resize, to_tensor, with_channels
from viceversa.data.image_io import read_image, write_image
from viceversa.paths import EXTENSIONS, list_images


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_list_images_is_recursive_natural_and_skips_what_is_no_picture(tmp_path: Path) -> None:
    for name in ["1/10.png", "1/2.JPG", "10/1.png", "2/1.webp", ".hidden/1.png", "1/.dot.png", "notes.txt", "b.tiff"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inside.gif").touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["1/2.JPG", "1/10.png", "2/1.webp", "10/1.png", "b.tiff", "folder.png/inside.gif"]


def test_list_images_leaves_out_links_to_themselves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "1.png").touch()
    assert [path.name for path in list_images(tmp_path)] == ["1.png"]
    assert "circle.png: a link that leads nowhere" in caplog.text


def test_list_images_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1.png").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to(tmp_path / "data")
    assert [path.name for path in list_images(tmp_path / "data")] == ["1.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(noise(5, 7, 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    with Image.open(tmp_path / "x.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    picture = read_image(tmp_path / "x.png")
    assert np.array_equal(picture.pixels, expected[:, :, :3])
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, expected[:, :, 3])
    assert picture.pixels.shape[:2] == ((7, 5) if orientation >= 5 else (5, 7))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff"])
def test_exif_orientation_in_other_formats(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :8] = 255  # stored on the left, so on top once it is turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / f"x{suffix}", exif=exif)
    turned = read_image(tmp_path / f"x{suffix}").pixels
    assert turned.shape == (32, 16, 3)
    assert turned[:7].min() > 200
    assert turned[9:].max() < 50


def test_broken_exif_is_no_obstacle(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    text = struct.pack("<HHI4sI", 0x0112, 2, 4, b"abc\0", 0)  # an orientation of the type ASCII
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + text
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "y.jpg", exif=exif)
    for name in ("x.jpg", "y.jpg"):
        assert read_image(tmp_path / name).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("mode", "suffix", "gray", "alpha"),
    [
        ("1", ".png", True, False),
        ("L", ".png", True, False),
        ("LA", ".png", True, True),
        ("RGB", ".png", False, False),
        ("RGBA", ".png", False, True),
        ("RGB", ".bmp", False, False),
        ("RGB", ".ppm", False, False),
        ("L", ".pgm", True, False),
        ("CMYK", ".tiff", False, False),
        ("YCbCr", ".tiff", False, False),
        ("LAB", ".tiff", False, False),
        ("RGBA", ".tiff", False, True),
    ],
)
def test_every_mode_is_read(tmp_path: Path, mode: str, suffix: str, gray: bool, alpha: bool) -> None:
    source = Image.fromarray(noise(6, 9, 4))
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        source = ImageCms.profileToProfile(source.convert("RGB"), srgb, lab, outputMode="LAB")
    else:
        source = source.convert("RGB" if mode in ("YCbCr", "CMYK", "1") else "RGBA").convert(mode)
    source.save(tmp_path / f"x{suffix}")
    picture = read_image(tmp_path / f"x{suffix}")
    assert picture.gray is gray
    assert (picture.alpha is not None) is alpha
    assert picture.pixels.dtype == np.uint8
    expected = np.asarray(source.convert("L" if gray else "RGB")).reshape(6, 9, -1)
    assert np.array_equal(picture.pixels, expected)
    if alpha:
        assert np.array_equal(picture.alpha, np.asarray(source.getchannel("A")))


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(12).reshape(3, 4) % 3).astype(np.uint8))
    image.putpalette([200, 10, 30, 0, 255, 0, 9, 8, 7])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    image.save(tmp_path / "clear.gif", transparency=1)
    plain = read_image(tmp_path / "plain.png")
    assert plain.alpha is None
    assert not plain.gray
    assert plain.pixels[0, 0].tolist() == [200, 10, 30]
    for name in ("clear.png", "clear.gif"):
        clear = read_image(tmp_path / name)
        assert clear.alpha is not None
        assert clear.alpha[0].tolist() == [255, 0, 255, 255]
        assert clear.pixels[0, 2].tolist() == [9, 8, 7]


def test_palette_of_grays_is_gray(tmp_path: Path) -> None:
    values = noise(5, 5)
    Image.fromarray(values).save(tmp_path / "x.gif")
    picture = read_image(tmp_path / "x.gif")
    assert picture.gray
    assert np.array_equal(picture.pixels[:, :, 0], values)


def test_colour_key_of_rgb_becomes_alpha(tmp_path: Path) -> None:
    pixels = np.full((2, 2, 3), 7, np.uint8)
    pixels[0, 0] = 99
    Image.fromarray(pixels).save(tmp_path / "x.png", transparency=(99, 99, 99))
    assert read_image(tmp_path / "x.png").alpha.tolist() == [[0, 255], [255, 255]]


def test_first_frame_of_animations(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for name in ("x.gif", "x.webp", "x.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert read_image(tmp_path / name).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_16_bit_gray_keeps_its_depth(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 1, 255], [256, 40000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"x{suffix}")
    picture = read_image(tmp_path / f"x{suffix}")
    assert picture.gray
    assert picture.pixels.dtype == np.float32
    assert np.allclose(picture.pixels[:, :, 0], values / 65535, atol=1e-7)
    rgb = with_channels(picture, 3)
    assert rgb.shape == (2, 3, 3)
    assert np.allclose(to_tensor(rgb)[1], torch.from_numpy(values / 32767.5 - 1), atol=1e-6)
    assert with_channels(picture, 4)[:, :, 3].min() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.25, 1]], np.float32), [0, 0.25, 1]),
        (np.array([[0, 51, 255]], np.float32), [0, 0.2, 1]),
        (np.array([[0, 13107, 65535]], np.float32), [0, 0.2, 1]),
        (np.array([[-1, 0, 3.5]], np.float32), [0, 1 / 4.5, 1]),
        (np.array([[0, 13107, 65535]], np.int32), [0, 0.2, 1]),
        (np.array([[-100, 0, 100]], np.int32), [0, 0.5, 1]),
        (np.array([[7, 7, 7]], np.int32), [7 / 65535] * 3),
    ],
)
def test_deep_gray_is_brought_into_range(tmp_path: Path, values: np.ndarray, expected: list[float]) -> None:
    Image.fromarray(values).save(tmp_path / "x.tiff")
    assert np.allclose(read_image(tmp_path / "x.tiff").pixels.ravel(), expected, atol=1e-6)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(ImageError, match=r"x\.tiff: holds values that are not finite"):
        read_image(tmp_path / "x.tiff")


def foreign_profile() -> bytes:
    """A profile whose red and blue are swapped against sRGB's."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    return profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 2), (250, 20, 10, 77))
    image.save(tmp_path / "foreign.png", icc_profile=foreign_profile())
    picture = read_image(tmp_path / "foreign.png")
    assert np.abs(picture.pixels[0, 0].astype(int) - [10, 20, 250]).max() <= 2
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 77
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in {"srgb": srgb, "broken": b"not a profile", "short": foreign_profile()[:200]}.items():
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
        assert read_image(tmp_path / f"{name}.png").pixels[0, 0].tolist() == [250, 20, 10]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def truncated(path: Path) -> bytes:
    Image.fromarray(noise(64, 64, 3)).save(path)
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize("kind", ["empty", "html", "garbage", "jpg", "png", "webp", "gif", "bomb", "postscript"])
def test_broken_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"broken.{kind if kind in ('jpg', 'png', 'webp', 'gif') else 'png'}"
    content = {
        "empty": b"",
        "html": b"\xef\xbb\xbf\n<!DOCTYPE html><html>404</html>",
        "garbage": bytes(noise(500)),
        "bomb": png_header(100_000, 100_000),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Pillow would start Ghostscript
    }
    path.write_bytes(content[kind] if kind in content else truncated(path))
    says = {"empty": "empty", "html": "web page", "garbage": "not a picture", "bomb": "too large"}
    says["postscript"] = "PostScript, not a picture"
    with pytest.raises(ImageError, match=says.get(kind, "damaged|not a picture")) as raised:
        read_image(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_missing_and_forbidden_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read \(No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_size_limit_refuses_without_warning_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(10, 15, 3)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns up to twice that
    assert read_image(tmp_path / "x.png").pixels.shape == (10, 15, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)
    with pytest.raises(ImageError, match="too large"):
        read_image(tmp_path / "x.png")


def test_channels_asked_for() -> None:
    pixels, alpha = noise(4, 5, 3), noise(4, 5, seed=1)
    picture = ImageData(pixels, alpha)
    blend = pixels * (alpha[:, :, None] / 255) + 255 * (1 - alpha[:, :, None] / 255)
    assert np.abs(with_channels(picture, 3) - blend).max() <= 0.501
    assert np.array_equal(with_channels(picture, 4), np.dstack([pixels, alpha]))
    opaque = ImageData(pixels)
    assert np.array_equal(with_channels(opaque, 3), pixels)
    assert np.array_equal(with_channels(opaque, 1)[:, :, 0], np.asarray(Image.fromarray(pixels).convert("L")))
    assert (with_channels(opaque, 4)[:, :, 3] == 255).all()
    gray = ImageData(pixels[:, :, :1], None, True)
    assert np.array_equal(with_channels(gray, 3), np.repeat(pixels[:, :, :1], 3, axis=2))
    assert np.array_equal(with_channels(gray, 1), pixels[:, :, :1])
    with pytest.raises(ImageError, match="4 channels cannot be read as 2"):
        with_channels(picture, 2)


def test_tensor_of_a_picture_and_back_is_the_same() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)
    tensor = to_tensor(pixels)
    assert tensor.shape == (1, 8, 32)
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(from_tensor(tensor), pixels)
    mirrored = noise(4, 6, 3)[:, ::-1]
    assert np.array_equal(from_tensor(to_tensor(mirrored)), mirrored)


def test_a_batch_of_eight_bits_is_normalised_as_a_picture_is() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)
    batch = torch.from_numpy(pixels[None]).permute(0, 3, 1, 2)
    assert torch.equal(normalise(batch)[0], to_tensor(pixels))
    floats = torch.rand(2, 3, 4, 5)
    assert normalise(floats) is floats


@given(st.floats(-3, 3, width=32))
def test_from_tensor_clamps_and_rounds(value: float) -> None:
    ideal = (min(max(value, -1), 1) + 1) * 127.5
    pixel = int(from_tensor(torch.full((3, 1, 1), value, requires_grad=True))[0, 0, 0])
    assert abs(pixel - ideal) <= 0.5001


def test_resize_is_pillows_and_antialiased() -> None:
    for channels in (1, 3, 4):
        pixels = noise(20, 31, channels)
        image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        expected = np.asarray(image.resize((9, 7), Image.Resampling.BICUBIC)).reshape(7, 9, channels)
        assert np.array_equal(resize(pixels, (7, 9)), expected)
    checker = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (32, 32))[:, :, None]
    assert np.abs(resize(checker, (8, 8)).astype(int) - 127).max() < 12


def test_resize_of_floats_stays_in_range() -> None:
    pixels = (noise(16, 16, 3) > 127).astype(np.float32)
    result = resize(pixels, (40, 24))
    assert result.shape == (40, 24, 3)
    assert result.dtype == np.float32
    assert (result.min(), result.max()) == (0, 1)  # bicubic overshoots at such edges
    middle = noise(16, 16, 3) // 2 + 64  # far enough from the ends that no pass is clipped
    assert np.abs(resize(middle, (40, 24)) / 255 - resize(middle.astype(np.float32) / 255, (40, 24))).max() < 0.01


@pytest.mark.parametrize("suffix", sorted(EXTENSIONS))
def test_saved_pictures_can_be_read(tmp_path: Path, suffix: str) -> None:
    pixels = resize(noise(3, 3, 3), (32, 32))
    path = tmp_path / "new" / "folder" / f"x{suffix}"
    write_image(path, pixels)
    picture = read_image(path)
    expected = with_channels(ImageData(pixels), picture.pixels.shape[2])
    lossy = suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".avif", ".avifs")
    assert np.abs(picture.pixels.astype(int) - expected).mean() <= (8 if lossy else 0)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_saved_alpha_and_gray(tmp_path: Path) -> None:
    pixels, alpha = noise(8, 8, 3), noise(8, 8, seed=1)
    write_image(tmp_path / "x.png", pixels, alpha)
    write_image(tmp_path / "four.png", np.dstack([pixels, alpha]))
    for name in ("x.png", "four.png"):
        picture = read_image(tmp_path / name)
        assert np.array_equal(picture.pixels, pixels)
        assert np.array_equal(picture.alpha, alpha)
    write_image(tmp_path / "gray.png", pixels, alpha, gray=True)
    with Image.open(tmp_path / "gray.png") as image:
        assert image.mode == "LA"
    write_image(tmp_path / "clear.jpg", pixels, np.zeros_like(alpha))
    assert read_image(tmp_path / "clear.jpg").pixels.min() == 255
    write_image(tmp_path / "gray.jpg", pixels, gray=True)
    with Image.open(tmp_path / "gray.jpg") as image:
        assert image.mode == "L"


def test_jpeg_quality(tmp_path: Path) -> None:
    pixels = noise(64, 64, 3)
    write_image(tmp_path / "x.jpg", pixels)
    Image.fromarray(pixels).save(tmp_path / "y.jpg", quality=95)
    assert (tmp_path / "x.jpg").read_bytes() == (tmp_path / "y.jpg").read_bytes()


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "x.png", noise(8, 8, 3))
    before = (tmp_path / "x.png").read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "x.png", noise(8, 8, 3, seed=1))
    assert (tmp_path / "x.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ImageError, match=r"x\.heic: cannot write this format; use one of .* \.bmp"):
        write_image(tmp_path / "x.heic", noise(8, 8, 3))
