"""Reading, converting and writing images of 8 bits; `test_deep.py` has the others."""

import struct
import zlib
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from support import foreign_profile, image_of, noise
from viceversa.data.image_data import ImageData, ImageError, from_tensor, normalise, resize, to_tensor, with_channels
from viceversa.data.image_io import EXTENSIONS, image_size, read_image, write_image
from viceversa.paths import list_images


def test_list_images_is_recursive_natural_and_skips_what_is_no_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = [".hidden/1.png", "1/.dot.png", "1/@eaDir/2.JPG", "__MACOSX/1.png", "notes.txt", "photo.heic"]
    for name in ["1/10.png", "1/2.JPG", "10/1.png", "2/1.webp", "b.tiff", "folder.png/inside.jfif", *hidden]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "2/loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "1")  # the same folder, already listed
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["1/2.JPG", "1/10.png", "2/1.webp", "10/1.png", "b.tiff", "folder.png/inside.jfif"]
    assert [record.getMessage() for record in caplog.records] == [
        f"skipped: {tmp_path / 'self.png'}: a link that leads nowhere"
    ]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "RGBA", "CMYK", "P", "1", "LA", "F"])
def test_tiffs_are_turned_upright(tmp_path: Path, mode: str, compression: str) -> None:
    """Whatever their orientation, mode and compression; uncompressed ones are mapped into memory by Pillow."""
    image, path = image_of(mode, 24, 32), tmp_path / "x.tif"
    image.save(path, compression=compression)
    upright = read_image(path)
    for orientation in range(2, 9):
        image.save(path, compression=compression, tiffinfo={274: orientation})
        found = read_image(path)
        turns = {2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}
        expected = np.rot90(upright.pixels, turns[orientation])
        expected = expected[:, ::-1] if orientation in (2, 4, 5, 7) else expected
        assert np.array_equal(found.pixels, expected)
        assert image_size(path) == (expected.shape[1], expected.shape[0])
        if upright.alpha is not None:
            assert found.alpha.shape == expected.shape[:2]


def test_broken_exif_is_no_obstacle(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    text = struct.pack("<HHI4sI", 0x0112, 2, 4, b"abc\0", 0)  # an orientation of the type ASCII
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "y.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0" + text)
    for name in ("x.jpg", "y.jpg"):
        assert read_image(tmp_path / name).pixels.shape == (8, 8, 3)


MODES = [(mode, ".png") for mode in ("1", "L", "LA", "RGB", "RGBA")]
MODES += [(mode, ".tiff") for mode in ("CMYK", "YCbCr", "LAB")]
MODES += [("RGB", ".bmp"), ("L", ".pgm"), ("RGB", ".jp2"), ("RGBA", ".tga")]


@pytest.mark.parametrize(("mode", "suffix"), MODES)
def test_every_mode_is_read(tmp_path: Path, mode: str, suffix: str) -> None:
    gray, alpha = mode in ("1", "L", "LA"), mode in ("LA", "RGBA")
    source = image_of("RGB" if mode == "LAB" else mode, 6, 9)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        source = ImageCms.profileToProfile(source, srgb, lab, outputMode="LAB")
    source.save(tmp_path / f"x{suffix}")
    picture = read_image(tmp_path / f"x{suffix}")
    assert (picture.gray, picture.alpha is not None, picture.pixels.dtype) == (gray, alpha, np.uint8)
    assert np.array_equal(picture.pixels, np.asarray(source.convert("L" if gray else "RGB")).reshape(6, 9, -1))
    if alpha:
        assert np.array_equal(picture.alpha, np.asarray(source.getchannel("A")))


def test_palettes_and_colour_keys(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(12).reshape(3, 4) % 3).astype(np.uint8))
    image.putpalette([200, 10, 30, 0, 255, 0, 9, 8, 7])
    image.save(tmp_path / "plain.png")
    plain = read_image(tmp_path / "plain.png")
    assert (plain.alpha, plain.gray) == (None, False)
    assert plain.pixels[0, 0].tolist() == [200, 10, 30]
    for name in ("clear.png", "clear.gif"):
        image.save(tmp_path / name, transparency=1)
        clear = read_image(tmp_path / name)
        assert clear.alpha[0].tolist() == [255, 0, 255, 255]
        assert clear.pixels[0, 2].tolist() == [9, 8, 7]
    Image.fromarray(noise(5, 5)).save(tmp_path / "gray.gif")
    assert read_image(tmp_path / "gray.gif").gray
    keyed = np.full((2, 2, 3), 7, np.uint8)
    keyed[0, 0] = 99
    Image.fromarray(keyed).save(tmp_path / "keyed.png", transparency=(99, 99, 99))
    assert np.array_equal(read_image(tmp_path / "keyed.png").alpha, [[0, 255], [255, 255]])


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 2), (250, 20, 10, 77))
    image.save(tmp_path / "foreign.png", icc_profile=foreign_profile())
    picture = read_image(tmp_path / "foreign.png")
    assert np.abs(picture.pixels[0, 0].astype(int) - [10, 20, 250]).max() <= 2
    assert picture.alpha[0, 0] == 77
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"not a profile", foreign_profile()[:200]):
        image.save(tmp_path / "x.png", icc_profile=profile)
        assert read_image(tmp_path / "x.png").pixels[0, 0].tolist() == [250, 20, 10]


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("after", [False, True])
def test_a_png_may_hold_megabytes_of_text(tmp_path: Path, mode: str, after: bool) -> None:
    info, text = PngImagePlugin.PngInfo(), zlib.compress(b"x" * 2**20)
    for i in range(70):
        info.add(b"zTXt", f"key{i}".encode() + b"\0\0" + text, after_idat=after)
    image_of(mode, 24, 32).save(tmp_path / "x.png", pnginfo=info)
    image_of(mode, 24, 32).save(tmp_path / "plain.png")
    assert np.array_equal(read_image(tmp_path / "x.png").pixels, read_image(tmp_path / "plain.png").pixels)


@pytest.mark.parametrize("name", hostile.BROKEN)
def test_broken_files_are_named_and_what_they_are(tmp_path: Path, name: str) -> None:
    content, reason = hostile.BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=reason) as raised:
        read_image(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(raised.value)


def test_channels_asked_for() -> None:
    pixels, alpha = noise(4, 5, 3), noise(4, 5, seed=1)
    picture = ImageData(pixels, alpha)
    blend = pixels * (alpha[:, :, None] / 255) + 255 * (1 - alpha[:, :, None] / 255)
    assert np.abs(with_channels(picture, 3) - blend).max() <= 0.501
    assert np.array_equal(with_channels(picture, 4), np.dstack([pixels, alpha]))
    opaque, gray = ImageData(pixels), ImageData(pixels[:, :, :1], None, True)
    assert np.array_equal(with_channels(opaque, 3), pixels)
    assert np.array_equal(with_channels(opaque, 1)[:, :, 0], np.asarray(Image.fromarray(pixels).convert("L")))
    assert (with_channels(opaque, 4)[:, :, 3] == 255).all()
    assert np.array_equal(with_channels(gray, 3), np.repeat(pixels[:, :, :1], 3, axis=2))
    for has, wanted in ((5, 3), (3, 5), (2, 1), (5, 4)):
        with pytest.raises(ImageError, match=f"a picture of {has} channels cannot be read as {wanted}"):
            with_channels(ImageData(noise(3, 3, has)), wanted)


def test_tensors_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)
    tensor = to_tensor(pixels)
    assert (tensor.shape, tensor.dtype, tensor.min(), tensor.max()) == ((1, 8, 32), torch.float32, -1, 1)
    assert np.array_equal(from_tensor(tensor), pixels)
    mirrored = noise(4, 6, 3)[:, ::-1]
    assert np.array_equal(from_tensor(to_tensor(mirrored)), mirrored)
    batch = torch.from_numpy(pixels[None]).permute(0, 3, 1, 2)
    assert torch.equal(normalise(batch)[0], tensor)
    floats = torch.linspace(-3, 3, 3 * 100 * 7, requires_grad=True).view(3, 100, 7)
    assert normalise(floats) is floats
    ideal = (floats.detach().clamp(-1, 1).permute(1, 2, 0) + 1) * 127.5
    assert np.abs(from_tensor(floats) - ideal.numpy()).max() <= 0.5001, "clamped and rounded"


def test_resize_is_pillows_antialiased_and_stays_in_range() -> None:
    for channels in (1, 3, 4):
        pixels = noise(20, 31, channels)
        image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        expected = np.asarray(image.resize((9, 7), Image.Resampling.BICUBIC)).reshape(7, 9, channels)
        assert np.array_equal(resize(pixels, (7, 9)), expected)
    edges = resize((noise(16, 16, 3) > 127).astype(np.float32), (40, 24))
    assert (edges.shape, edges.dtype, edges.min(), edges.max()) == ((40, 24, 3), np.float32, 0, 1)
    middle = noise(16, 16, 3) // 2 + 64  # far enough from the ends that no pass is clipped
    assert np.abs(resize(middle, (40, 24)) / 255 - resize(middle.astype(np.float32) / 255, (40, 24))).max() < 0.01


@pytest.mark.parametrize("suffix", sorted(EXTENSIONS))
def test_saved_pictures_can_be_read(tmp_path: Path, suffix: str) -> None:
    pixels = resize(noise(3, 3, 3), (32, 32))
    path = tmp_path / "new" / "folder" / f"x{suffix}"
    write_image(path, pixels)
    picture = read_image(path)
    expected = with_channels(ImageData(pixels), picture.pixels.shape[2])
    lossy = suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".avif")
    assert np.abs(picture.pixels.astype(int) - expected).mean() <= (8 if lossy else 0)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_saved_alpha_gray_and_quality(tmp_path: Path) -> None:
    pixels, alpha = noise(8, 8, 3), noise(8, 8, seed=1)
    write_image(tmp_path / "x.png", pixels, alpha)
    write_image(tmp_path / "four.png", np.dstack([pixels, alpha]))
    for name in ("x.png", "four.png"):
        picture = read_image(tmp_path / name)
        assert np.array_equal(picture.pixels, pixels)
        assert np.array_equal(picture.alpha, alpha)
    modes: dict[str, tuple[Any, ...]] = {"LA": ("gray.png", pixels, alpha, True), "L": ("gray.jpg", pixels, None, True)}
    for mode, (name, *what) in modes.items():
        write_image(tmp_path / name, *what)
        with Image.open(tmp_path / name) as image:
            assert image.mode == mode
    write_image(tmp_path / "clear.jpg", pixels, np.zeros_like(alpha))
    assert read_image(tmp_path / "clear.jpg").pixels.min() == 255
    write_image(tmp_path / "x.jpg", pixels)
    Image.fromarray(pixels).save(tmp_path / "y.jpg", quality=95)
    assert (tmp_path / "x.jpg").read_bytes() == (tmp_path / "y.jpg").read_bytes()
    with pytest.raises(ImageError, match=r"x\.heic: cannot write this format; use one of .* \.bmp"):
        write_image(tmp_path / "x.heic", noise(8, 8, 3))
