"""Images of every mode, depth, size and format: as they came, or one reason each."""

import io
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from generators import go
from PIL import Image

from support import foreign_profile, image_of, noise
from viceversa.data.image_io import read_image, write_image

SIZES = [(1, 1), (1, 40), (33, 2), (24, 31), (64, 64)]
MODES = {
    "1": ("png", "tif", "bmp"), "L": ("png", "jpg", "webp"), "LA": ("png",), "P": ("png", "gif", "bmp"),
    "RGB": ("png", "jpg", "webp", "tif", "bmp", "tga", "ppm", "jp2", "avif"), "RGBA": ("png", "webp", "tif", "avif"),
    "CMYK": ("jpg", "tif"), "I;16": ("png", "tif"), "F": ("tif",), "YCbCr": ("jpg",),
}  # fmt: skip


def test_every_mode_and_size_comes_back(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, (mode, suffixes) in enumerate(MODES.items()):
        for place, suffix in enumerate(suffixes):
            for size in {SIZES[(number + place) % 5], SIZES[(number + place + 2) % 5]}:
                name = f"{mode.replace(';', '')}-{size[0]}x{size[1]}.{suffix}"
                image_of(mode, *size).save(folder / name)
    for size in SIZES[1:]:
        write_image(folder / f"deep-{size[0]}.png", noise(*size, 3) / np.float32(255))
        write_image(folder / f"deep-{size[0]}.tif", noise(*size, 3) / np.float32(255), noise(*size))
    sources = sorted(folder.iterdir())
    assert len(sources) >= 60
    result = go(weights, folder)
    assert result.failed == {}
    for source in sources:
        before, after = read_image(source), read_image(tmp_path / "out" / source.name)
        assert before.pixels.shape[:2] == after.pixels.shape[:2], source
        assert (before.pixels.dtype == np.uint8) == (after.pixels.dtype == np.uint8), source
        assert (before.alpha is None) == (after.alpha is None), source
        if before.alpha is not None and source.suffix != ".avif":
            assert (before.alpha == after.alpha).all(), source


@pytest.mark.parametrize(
    ("suffix", "depth"), [*((s, 0) for s in ("png", "jpg", "webp", "tif", "avif")), ("png", 16), ("tif", 16)]
)
def test_metadata_are_kept(weights: Path, tmp_path: Path, suffix: str, depth: int) -> None:
    exif, profile, source, pixels = Image.Exif(), foreign_profile(), tmp_path / f"x.{suffix}", noise(24, 32, 3)
    exif[0x010F], exif[0x0112] = "Maker", 6  # turned clockwise
    if depth == 16:
        write_image(source, pixels / np.float32(255), exif=exif.tobytes(), profile=profile)
    else:
        Image.fromarray(pixels).save(source, exif=exif, icc_profile=profile)
    (written,) = go(weights, source).written
    assert read_image(written).depth == depth
    with Image.open(written) as image:
        assert image.size == read_image(source).pixels.shape[1::-1]
        assert (image.getexif().get(0x010F), image.getexif().get(0x0112, 1)) == ("Maker", 1)
        assert image.info["icc_profile"] == profile
    plain = go(weights, source, "plain", format="bmp").written[0]
    if suffix in ("png", "tif") and not depth:  # without losses
        error = np.abs(read_image(plain).pixels.astype(int) - read_image(written).pixels)
        assert error.max() <= 3, "the same colours"


def test_heic_becomes_jpeg(weights: Path, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(30, 44, 3)).save(tmp_path / "in" / "x.heic")
    (tmp_path / "in" / "y.heic").write_bytes((tmp_path / "in" / "x.heic").read_bytes()[:300])
    result = go(weights, tmp_path / "in")
    assert [path.name for path in result.written] == ["x.jpg"]
    assert read_image(result.written[0]).pixels.shape == (30, 44, 3)
    assert [file.name for file in result.failed] == ["y.heic"]


@pytest.mark.parametrize("suffix", ["jp2", "avif"])
def test_bits_that_are_lost_are_told(
    weights: Path, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    deep = noise(32, 40, 3).astype(np.uint16) * 4
    encode = {"jp2": imagecodecs.jpeg2k_encode, "avif": imagecodecs.avif_encode}[suffix]
    (tmp_path / f"deep.{suffix}").write_bytes(encode(deep, bitspersample=10))
    Image.fromarray(noise(32, 40, 3)).save(tmp_path / f"plain.{suffix}")
    assert go(weights, tmp_path).failed == {}
    assert [record.args[0] for record in caplog.records] == [tmp_path / f"deep.{suffix}"]


def test_a_pipe(weights: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(noise(20, 24, 3)).save(content, "PNG")
    command = [sys.executable, "-m", "viceversa", "translate", str(weights), "-", "-", "--device", "cpu"]
    done = subprocess.run([*command, "--format", "webp"], input=content.getvalue(), capture_output=True, check=True)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("WEBP", (24, 20))
    broken = subprocess.run(command, input=b"no image", capture_output=True, check=False)
    assert (broken.returncode, broken.stdout) == (1, b"")
    assert b"standard input" in broken.stderr


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_large_photos(weights: Path, tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.kron(noise(300, 400, 3), np.ones((10, 10, 1), np.uint8))).save(tmp_path / f"x.{suffix}")
    (whole,) = go(weights, tmp_path / f"x.{suffix}", "whole", format="png").written
    (bands,) = go(weights, tmp_path / f"x.{suffix}", "bands", format="png", memory=10**8).written
    assert np.abs(read_image(whole).pixels.astype(int) - read_image(bands).pixels).max() <= 2
