"""Files in, files out: `translate_images` with real images."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generators import SMALL, coded, go, images, make, weights_of
from PIL import Image

from support import noise
from viceversa.data.image_data import ImageData
from viceversa.data.image_io import read_image, write_image
from viceversa.nets.weights import save_generator
from viceversa.translate import pipeline, source, translate_images
from viceversa.translate.images import resize_short_side
from viceversa.translator import Translator

GOLDEN = Path(__file__).parents[1] / "golden" / "first_edition"


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net, translator = coded()
    path = tmp_path_factory.mktemp("vae") / "AtoB.safetensors"
    save_generator(path, net, translator.card)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return images(tmp_path / "photos", "2.jpg", "10.jpg", "a.png", "deep/a.png", "deep/er/c.webp")


@pytest.fixture
def dozen(tmp_path: Path) -> Path:
    """Twelve images of two sizes, in turns; the fourth is broken."""
    for number in range(12):
        write_image(tmp_path / "in" / f"{number:02}.png", noise(32, 32 + 8 * (number % 2), 3, seed=number))
    (tmp_path / "in" / "03.png").write_bytes(b"no image")
    return tmp_path / "in"


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- files


def test_a_folder_is_translated(weights: Path, photos: Path) -> None:
    result = go(weights, photos)
    assert (len(result.written), result.skipped, result.failed, result.direction) == (5, [], {}, "AtoB")
    out = photos.parent / "out"
    assert names(out) == ["10.jpg", "2.jpg", "a.png", "deep/a.png", "deep/er/c.webp"]
    with Image.open(photos / "a.png") as image, Image.open(out / "a.png") as translation:
        assert (np.asarray(translation) == np.asarray(Translator.load(weights)(image))).all()


def test_weights_of_the_first_edition_give_the_same_image(tmp_path: Path) -> None:
    translate_images(GOLDEN / "AtoB.safetensors", str(GOLDEN / "in.png"), tmp_path / "out.png")
    assert (read_image(tmp_path / "out.png").pixels == read_image(GOLDEN / "out.png").pixels).all()


def test_outputs_are_kept_unless_told_otherwise(weights: Path, photos: Path) -> None:
    mine = photos.parent / "out" / "a.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    result = go(weights, photos)
    assert (len(result.written), result.skipped) == (4, [mine])
    assert mine.read_text() == "mine"
    result = go(weights, photos, overwrite=True)
    assert (len(result.written), result.skipped) == (5, [])
    assert mine.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("backend", ["eager", "auto", "bf16"])
def test_a_translation_that_is_not_finite_is_a_failed_image(dozen: Path, tmp_path: Path, backend: str) -> None:
    net, card = make({**SMALL, "width": 8})
    with torch.no_grad():
        next(net.parameters()).fill_(1e38)
    save_generator(tmp_path / "huge.safetensors", net, card)
    write_image(dozen / "00.png", np.full((32, 32, 3), 128, np.uint8))
    result = go(tmp_path / "huge.safetensors", dozen, backend=backend)
    assert len(result.failed) >= 11
    assert "not finite" in result.failed[dozen / "01.png"]
    assert not (tmp_path / "out" / "01.png").exists()


@pytest.mark.parametrize("name", ["gray.png", "gray.tif", "colour.png", "colour.tif", "alpha.png", "alpha.tif"])
def test_sixteen_bits_stay_sixteen(weights: Path, tmp_path: Path, name: str) -> None:
    y, x = np.mgrid[0:40, 0:33]
    ramp = ((x * 1000 + y * 700) / 65535).astype(np.float32)[:, :, None].repeat(1 if name.startswith("gray") else 3, 2)
    alpha = noise(40, 33) if name.startswith("alpha") else None
    write_image(tmp_path / name, ramp, alpha)
    (written,) = go(weights, tmp_path / name).written
    found, exact = read_image(written), Translator.load(weights).translate(read_image(tmp_path / name))
    assert np.abs(found.pixels - exact.pixels).max() < 1 / 65535
    assert (found.depth, found.pixels.shape) == (16, (40, 33, 3))
    assert alpha is None or (found.alpha == alpha).all()


def test_twelve_bits_are_read_and_written_as_twelve(tmp_path: Path) -> None:
    net, card = make(channels=(1, 1))
    save_generator(tmp_path / "G.safetensors", net, replace(card, bits=12))
    ramp = np.linspace(0, 4095, 40 * 33, dtype=np.float32).reshape(40, 33, 1)
    write_image(tmp_path / "x.png", ramp / 65535)
    (written,) = go(tmp_path / "G.safetensors", tmp_path / "x.png").written
    expected = Translator(net, card)(np.rint(ramp) / np.float32(4095)) * 4095
    assert np.abs(read_image(written).pixels * 65535 - expected).max() <= 1
    write_image(tmp_path / "y.png", ramp / 4095)
    assert "more than 12 bits" in go(tmp_path / "G.safetensors", tmp_path / "y.png").failed[tmp_path / "y.png"]


def test_names_that_are_not_utf8(weights: Path, dozen: Path) -> None:
    folder = images(dozen.parent / os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xfc.png"))
    (folder / os.fsdecode(b"\xe4.png")).write_text("no image")
    result = go(weights, folder, os.fsdecode(b"out\xe9"))
    assert [path.is_file() for path in result.written] == [True]
    assert list(result.failed) == [folder / os.fsdecode(b"\xe4.png")]


def test_any_number_of_channels(tmp_path: Path) -> None:
    weights = weights_of(tmp_path / "AtoB.safetensors", channels=(5, 2))
    write_image(tmp_path / "in" / "x.npy", np.random.default_rng(0).random((40, 33, 5), np.float32))
    write_image(tmp_path / "in" / "y.tif", noise(40, 33, 5))
    write_image(tmp_path / "in" / "z.png", noise(40, 33, 3))
    result = go(weights, tmp_path / "in")
    assert [path.name for path in result.written] == ["x.npy", "y.tif"]
    assert "3 channels cannot be read as 5" in result.failed[tmp_path / "in" / "z.png"]
    written = [read_image(path).pixels for path in result.written]
    assert [(pixels.shape, pixels.dtype) for pixels in written] == [((40, 33, 2), np.float32), ((40, 33, 2), np.uint8)]
    assert go(weights, tmp_path / "in" / "y.tif", "one.png").written == [tmp_path / "in" / "one.tiff"]


# --- what is made of each image


def test_masks_are_written_beside(weights: Path, photos: Path) -> None:
    go(weights, photos / "deep")
    result = go(weights, photos / "deep", save_mask=True)
    assert len(result.written) == 2, "the translations are there, their masks were missing"
    with Image.open(photos / "out" / "er" / "c.mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (24, 20))
    assert len(go(weights, photos / "deep", save_mask=True).skipped) == 2
    with pytest.raises(ValueError, match=r"has no attention mask; train with generator\.mask=true"):
        go(weights_of(photos.parent / "plain.safetensors"), photos / "deep" / "er", save_mask=True)


def test_samples_of_a_folder(vae: Path, photos: Path) -> None:
    result = go(vae, photos / "deep", samples=2, seed=5)
    out = photos / "out"
    assert (len(result.written), names(out)) == (2, ["a.1.png", "a.2.png", "er/c.1.png", "er/c.2.png"])
    sample = Translator.load(vae).samples(read_image(photos / "deep" / "a.png"), 2, seed=5)[1]
    assert (read_image(out / "a.2.png").pixels == sample.pixels).all()
    (out / "a.1.png").write_text("mine")
    assert len(go(vae, photos / "deep", samples=3, seed=5).written) == 2, "the third ones were missing"
    assert (out / "a.1.png").read_text() == "mine"
    assert len(go(vae, photos / "deep", samples=3, seed=5).skipped) == 2


def test_interpolation_in_files(vae: Path, photos: Path) -> None:
    go(vae, photos / "2.jpg", interpolate=photos / "10.jpg", size=32)
    assert names(photos / "out") == [f"2.{n}.png" for n in range(1, 9)]
    small = resize_short_side(read_image(photos / "2.jpg"), 32)
    assert (read_image(photos / "out" / "2.1.png").pixels == Translator.load(vae).translate(small).pixels).all()
    go(vae, photos / "2.jpg", "three", interpolate=photos / "10.jpg", samples=3)
    assert len(names(photos / "three")) == 3


@pytest.mark.parametrize("options", [{"samples": 2}, {"interpolate": "a.png"}], ids=str)
def test_only_variational_generators_draw(weights: Path, photos: Path, options: dict) -> None:
    options = {name: photos / value if name == "interpolate" else value for name, value in options.items()}
    with pytest.raises(ValueError, match=r"resnet is not variational.*; use vae1, vaegan, resnet_vae, res_vae"):
        go(weights, photos / "2.jpg", **options)
    assert not (photos / "out").exists()


@pytest.mark.parametrize(("dtype", "value", "within"), [(np.uint8, 200, 1), (np.float32, 0.8, 1e-5)])
def test_the_short_side_is_resized(dtype: type, value: float, within: float) -> None:
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize_short_side(ImageData(stripes), 20)
    assert small.pixels.shape == (20, 30, 3)
    assert np.abs(small.pixels[4:-4, 4:-4].astype(int) - 127).max() < 20, "antialiased"
    assert resize_short_side(ImageData(stripes.swapaxes(0, 1)), 80).pixels.shape == (120, 80, 3)
    pixels, alpha = np.full((40, 40, 3), value, dtype), np.zeros((40, 40), np.uint8)
    pixels[:, :22], alpha[:, 22:] = 0, 255
    small = resize_short_side(ImageData(pixels, alpha), 10)
    assert (small.pixels.dtype, small.alpha.dtype) == (dtype, np.uint8)
    assert ((small.alpha[:, :3] == 0) & (small.alpha[:, -3:] == 255)).all()
    assert 0 < small.alpha[0, 5] < 255
    error = np.abs(small.pixels.astype(float) - value)
    assert error[:, -3:].max() <= within
    assert error[:, 5].max() < value / 40, "colours that are not seen do not spread"


@pytest.mark.parametrize("options", [{"save_mask": True}, {"samples": 2}])
def test_what_is_only_computed_whole_is_refused_if_it_does_not_fit(
    weights: Path, vae: Path, photos: Path, options: dict
) -> None:
    write_image(photos / "large.png", noise(400, 400, 3))
    model = weights if "save_mask" in options else vae
    result = go(model, photos, memory=2**26, **options)
    assert list(result.failed) == [photos / "large.png"]
    assert "GB; make it smaller with --size" in result.failed[photos / "large.png"]
    assert go(model, photos / "large.png", "whole", **options).failed == {}


# --- at the same time


@pytest.mark.parametrize("batch", [2, 5, 20])
def test_an_image_becomes_the_same_whatever_is_beside_it(weights: Path, dozen: Path, batch: int) -> None:
    alone, together = go(weights, dozen, batch=1), go(weights, dozen, f"b{batch}", batch=batch)
    assert together.files == 11
    assert list(together.failed) == [dozen / "03.png"]
    assert not together.failed[dozen / "03.png"].startswith(str(dozen)), "the name is said once"
    assert [path.stem for path in together.written] == [f"{n:02}" for n in range(12) if n != 3]
    for one, other in zip(alone.written, together.written, strict=True):
        difference = read_image(one).pixels.astype(int) - read_image(other).pixels
        assert one.name == other.name
        assert np.abs(difference).max() <= 1, "up to rounding"
        assert np.mean(difference != 0) < 1e-3


def test_a_full_disk_leaves_nothing_half(weights: Path, dozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *rest: object, **more: bytes) -> None:
        if path.stem >= "06":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_image(path, *rest, **more)

    monkeypatch.setattr(source, "write_image", full)
    with pytest.raises(OSError, match="No space left on device"):
        go(weights, dozen, batch=1)
    assert names(dozen.parent / "out") == ["00.png", "01.png", "02.png", "04.png", "05.png"]
    monkeypatch.undo()
    again = go(weights, dozen)
    assert (len(again.skipped), len(again.written)) == (5, 6)


def test_processes_share_the_images(weights: Path, dozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert [path.stem for path in go(weights, dozen).written] == [f"{n:02}" for n in range(rank, 12, 2) if n != 3]


# --- backends


def test_a_backend_computes_and_its_exactness_is_told(weights: Path, dozen: Path) -> None:
    result = go(weights, dozen, backend="bf16")
    name, decibels = result.backend.split(":")
    assert name == "backend bf16"
    assert 30 < float(decibels.split()[0]) < 80
    exact = go(weights, dozen, "eager")
    assert exact.backend == ""
    pairs = zip(result.written, exact.written, strict=True)
    off = [read_image(one).pixels.astype(int) - read_image(other).pixels for one, other in pairs]
    assert 0 < max(np.abs(x).max() for x in off) < 30
    (dozen / "03.png").unlink()
    assert go(weights, dozen, backend="bf16").backend == "", "nothing to do, nothing to choose"


def test_auto_is_bf16_where_that_is_fast_and_exact(weights: Path, dozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, exact, chosen in ((False, 0, "eager"), (True, 999, "eager"), (True, 20, "bf16")):
        monkeypatch.setattr(pipeline, "multiplies_bf16", lambda _, fast=fast: fast)
        monkeypatch.setattr(pipeline, "EXACT", exact)
        assert go(weights, dozen, f"{fast}{exact}", backend="auto").backend.startswith(f"backend {chosen}")
    computed = [read_image(dozen.parent / folder / "00.png").pixels for folder in ("False0", "True999", "True20")]
    assert (computed[0] == computed[1]).all()
    assert (computed[0] != computed[2]).any()
