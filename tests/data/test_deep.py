"""More than 8 bits or 4 channels, numpy arrays: read, drawn, shown, written."""

import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from support import noise, save
from viceversa.config import Config, DataConfig
from viceversa.data import open_loader
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_data import ImageError, resize, to_tensor, with_channels
from viceversa.data.image_io import read_image, write_image


def deep(*shape: int, kind: Any = np.uint16) -> np.ndarray:
    """Noise of a type; floats lie in [0, 1]."""
    return noise(*shape, kind=np.uint16) / np.float32(65535) if kind == np.float32 else noise(*shape, kind=kind)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm", ".jp2"])
def test_16_bit_gray_keeps_its_depth_without_any_package(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.array([[0, 1, 255] * 8, [256, 40000, 65535] * 8] * 12, np.uint16)
    Image.fromarray(values).save(tmp_path / f"x{suffix}")
    for name in ("imagecodecs", "tifffile") if suffix != ".tiff" else ():
        monkeypatch.setitem(sys.modules, name, None)
    picture = read_image(tmp_path / f"x{suffix}")
    assert (picture.gray, picture.depth, picture.pixels.dtype) == (True, 16, np.float32)
    assert np.allclose(picture.pixels[:, :, 0], values / 65535, atol=1e-7)
    rgb = with_channels(picture, 3)
    assert np.allclose(to_tensor(rgb)[1], torch.from_numpy(values / 32767.5 - 1), atol=1e-6)
    for name, pixels in (("gray", picture.pixels), ("three", rgb)):  # as from a generator of three channels
        write_image(tmp_path / f"{name}{suffix}", pixels, None, gray=True)
        with Image.open(tmp_path / f"{name}{suffix}") as written:
            assert np.abs(np.asarray(written).astype(int) - values).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.25, 1]], np.float32), [0, 0.25, 1]),
        (np.array([[0, 51, 255]], np.float32), [0, 0.2, 1]),
        (np.array([[0, 13107, 65535]], np.float32), [0, 0.2, 1]),
        (np.array([[-1, 0, 3.5]], np.float32), [0, 1 / 4.5, 1]),
        (np.array([[0, 13107, 65535]], np.uint16), [0, 0.2, 1]),
        (np.array([[0, 13107, 65535]], np.int32), [0, 0.2, 1]),
        (np.array([[0, 13107, 65535]], np.uint32), [0, 0.2, 1]),
        (np.array([[-100, 0, 100]], np.int32), [0, 0.5, 1]),
        (np.array([[7, 7, 7]], np.int32), [7 / 65535] * 3),
        (np.array([[0, 2**31, 2**32 - 1]], np.uint32), [0, 0.5, 1]),
        (np.array([[-32768, -1, 32767]], np.int16), [0, 32767 / 65535, 1]),
        (np.array([[0, 13107, 32767]], np.int16), [0, 0.2, 32767 / 65535]),
        (np.array([[-128, -1, 127]], np.int8), [0, 127 / 255, 1]),
        (np.array([[0, 51, 127]], np.int8), [0, 51, 127]),
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_gray_numbers_of_every_type_and_order_of_bytes(
    tmp_path: Path, values: np.ndarray, expected: list[float], byteorder: Any, compression: Any
) -> None:
    values = values.repeat(5, axis=0)
    options = {"byteorder": byteorder, "compression": compression, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "x.tiff", values, **options)
    assert np.allclose(read_image(tmp_path / "x.tiff").pixels[:, :, 0], [expected] * 5, atol=1e-6)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_png(tmp_path: Path, colours: int, alpha: bool) -> None:
    values = deep(5, 7, colours + alpha)
    (tmp_path / "x.png").write_bytes(imagecodecs.png_encode(values))
    picture = read_image(tmp_path / "x.png")
    assert np.array_equal(np.rint(picture.pixels * 65535), values[:, :, :colours])
    assert picture.gray == (colours == 1)
    assert (picture.alpha is not None) is alpha
    if alpha:
        assert np.array_equal(picture.alpha, np.rint(values[:, :, -1] / 257).astype(np.uint8))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("channels", "planar"), [(2, "contig"), (3, "contig"), (5, "contig"), (5, "separate")])
@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_tiff_of_any_channels(
    tmp_path: Path, kind: Any, channels: int, planar: Any, compression: Any, orientation: int
) -> None:
    values = deep(6, 9, channels, kind=kind)
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    colour = "rgb" if channels == 3 else "minisblack"
    path = tmp_path / "x.tif"
    tag = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(path, stored, photometric=colour, planarconfig=planar, compression=compression, extratags=tag)
    values = np.rot90(values, 3) if orientation == 6 else values
    picture = read_image(path)
    top = {np.uint8: 1, np.uint16: 65535, np.float32: 1}[kind]
    assert picture.pixels.dtype == (np.uint8 if kind == np.uint8 else np.float32)
    assert picture.alpha is None
    assert np.allclose(picture.pixels * np.float32(top), values, atol=1e-2 if top > 1 else 0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1), (6, 9, 2), (6, 9, 4), (6, 9, 7)])
def test_arrays(tmp_path: Path, kind: Any, shape: tuple[int, ...]) -> None:
    values = deep(*shape, kind=kind)
    np.save(tmp_path / "x.npy", values)
    picture = read_image(tmp_path / "x.npy")
    channels = 1 if len(shape) == 2 else shape[2]
    assert picture.pixels.shape == (6, 9, channels)
    scale = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[kind] if picture.pixels.dtype != np.uint8 else 1
    assert np.allclose(picture.pixels.reshape(shape) * np.float32(scale), values, atol=1e-2 if scale > 1 else 0)
    assert with_channels(picture, channels).shape == (6, 9, channels)


def test_four_bands_of_eight_bits_are_not_taken_for_alpha(tmp_path: Path) -> None:
    values = deep(8, 8, 4, kind=np.uint8)
    values[:, :, 3] = 0
    np.save(tmp_path / "x.npy", values)
    small = resize(with_channels(read_image(tmp_path / "x.npy"), 4), (4, 4))
    assert np.abs(small[:, :, 0].mean() * 255 - values[:, :, 0].mean()) < 8  # as RGBA it would be black


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros((2, 3, 4, 5), np.uint8), r"has the shape \(2, 3, 4, 5\)"),
        (np.zeros((0, 3), np.uint8), "has the shape"),
        (np.array([[-0.5, 1]], np.float32), "holds floats from -0.5 to 1; bring them into 0 to 1"),
        (np.array([[np.nan, 1]], np.float32), "holds floats from nan"),
        (np.array([[1, 2]], np.int64), "numbers of the type int64"),
        (np.array([{"a": 1}], dtype=object), "damaged"),
    ],
)
def test_arrays_that_are_no_pictures(tmp_path: Path, values: np.ndarray, match: str) -> None:
    np.save(tmp_path / "x.npy", values, allow_pickle=True)
    with pytest.raises(ImageError, match=rf"x\.npy: .*{match}"):
        read_image(tmp_path / "x.npy")


def test_a_stack_of_pages_is_no_picture_but_its_first_page_is(tmp_path: Path) -> None:
    pages = deep(5, 6, 9)
    tifffile.imwrite(tmp_path / "x.tif", pages)
    assert np.array_equal(np.rint(read_image(tmp_path / "x.tif").pixels[:, :, 0] * 65535), pages[0])


@pytest.mark.parametrize("suffix", [".tiff", ".npy", ".png"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_written_as_deep_as_it_is(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = deep(5, 7, channels, kind=np.float32)
    path = tmp_path / f"x{suffix}"
    if suffix == ".png" and channels not in (1, 3):
        with pytest.raises(ImageError, match=rf"x\.png: {channels} channels do not fit into \.png; name a \.tiff or"):
            write_image(path, pixels)
        assert not list(tmp_path.iterdir())
        return
    write_image(path, pixels)
    assert np.abs(read_image(path).pixels - pixels).max() < 1e-6
    eight = deep(5, 7, channels, kind=np.uint8)
    write_image(path, eight)
    assert np.array_equal(read_image(path).pixels, eight)
    if suffix != ".npy" and channels in (1, 3):
        write_image(path, pixels, eight[:, :, 0])
        assert np.abs(read_image(path).pixels - pixels).max() < 1e-6
        assert np.array_equal(read_image(path).alpha, eight[:, :, 0])


def test_no_memory_is_taken_because_a_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "x.tif", deep(5, 7, 3), photometric="rgb")
    monkeypatch.setattr("viceversa.data.deep.LARGEST", 104)
    with pytest.raises(ImageError, match="says that it holds 105 numbers"):
        read_image(tmp_path / "x.tif")


def test_12_bits_in_16_bit_files(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "A" / f"{i}.png", np.full((8, 8), 4095, np.uint16))
        save(tmp_path / "B" / f"{i}.png", np.full((8, 8), 200, np.uint8))
    data = DataConfig(str(tmp_path), load=8, crop=8, workers=0, scale="12bit", channels_a=1, test_fraction=0)
    loader = open_loader(Config(data=data))
    batch = next(loader.batches(0))
    assert torch.equal(batch["A"], torch.ones(1, 1, 8, 8))
    assert batch["B"].unique().tolist() == [200]  # 8 bits are 8 bits
    assert torch.equal(EvalSet(loader.splits, loader.config).samples(1)[0].a, torch.ones(1, 8, 8))
    for i in range(2):
        save(tmp_path / "A" / f"{i}.png", np.full((8, 8), 4096, np.uint16))
    with pytest.raises(ImageError, match=r"more than 12 bits can \(data\.scale\)"):
        list(zip(range(4), loader.batches(0), strict=False))
