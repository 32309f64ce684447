"""Images in, images out: size, alpha, depth and mode as they came."""

from pathlib import Path

import numpy as np
import pytest
import torch
from generators import CODED, TIED, coded, make, same, weights_of
from hypothesis import given
from hypothesis.extra.numpy import arrays
from PIL import Image

from support import noise
from viceversa.data.image_data import ImageData, ImageError, from_tensor, off_white, on_white, to_tensor, with_channels
from viceversa.paths import weights_file
from viceversa.translator import Translator


def equal(a: Image.Image | np.ndarray, b: Image.Image | np.ndarray, within: int = 0) -> bool:
    a, b = (Image.fromarray(x) if isinstance(x, np.ndarray) else x for x in (a, b))
    return a.mode == b.mode and bool(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= within)


# --- sizes


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 500), (67, 45), (64, 64)])
def test_every_size_is_kept(translator: Translator, size: tuple[int, int]) -> None:
    pixels = noise(*size, 3)
    assert translator(pixels).shape == pixels.shape
    assert (same()(pixels) == pixels).all(), "what was added around is cut off in the right place"
    tied = same(size=64)
    assert tied(pixels).shape == pixels.shape
    assert [tuple(x.shape[2:]) for x in tied.net.seen] == [(64, 64)]
    assert size != (64, 64) or (tied(pixels) == pixels).all()


# --- transparency


@given(arrays(np.uint8, (3, 4, 3)), arrays(np.uint8, (3, 4)))
def test_off_white_undoes_the_blending_with_white(pixels: np.ndarray, alpha: np.ndarray) -> None:
    blended = on_white(pixels, alpha)
    assert (on_white(off_white(blended, alpha), alpha) == blended).all()


def test_alpha_is_kept_and_seen_on_white(translator: Translator) -> None:
    rgba = noise(20, 30, 4)
    result = translator(Image.fromarray(rgba))
    assert result.mode == "RGBA"
    assert (np.asarray(result)[:, :, 3] == rgba[:, :, 3]).all()
    solid = translator.translate(ImageData(rgba[:, :, :3], np.full((20, 30), 255, np.uint8)))
    assert (solid.pixels == translator(rgba[:, :, :3])).all()
    assert (with_channels(ImageData(rgba[:, :, :3], np.zeros((20, 30), np.uint8)), 3) == 255).all()


def test_alpha_through_networks_of_four_channels() -> None:
    rgba = noise(40, 40, 4)
    image = ImageData(rgba[:, :, :3], rgba[:, :, 3])
    both = same((4, 4)).translate(image)
    assert (both.pixels == rgba[:, :, :3]).all()
    assert (both.alpha == rgba[:, :, 3]).all()
    assert Translator(*make(channels=(3, 4))).translate(image).alpha is not None
    sees_alpha = Translator(*make(channels=(4, 3))).translate(image)
    assert (sees_alpha.alpha == rgba[:, :, 3]).all()
    assert (sees_alpha.pixels == Translator(*make(channels=(4, 3)))(rgba)[:, :, :3]).all(), "no white was to be removed"


def test_a_deep_image_stays_deep() -> None:
    values, alpha = np.random.default_rng(0).random((40, 33, 3), np.float32), noise(40, 33)
    restored = off_white(with_channels(ImageData(values, alpha), 3), alpha)
    assert np.abs(restored - values)[alpha > 60].max() < 1e-3
    translator = coded()[1]
    deep = [*translator.samples(ImageData(values), 2), *translator.interpolate(ImageData(values), ImageData(values), 2)]
    assert all(one.pixels.dtype == np.float32 for one in deep)


# --- results


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_translation_that_is_not_finite_is_an_error(value: float) -> None:
    translator = same()
    image = ImageData(noise(40, 40, 3))
    translator.backend = lambda x: torch.stack([x[0], torch.full_like(x[0], value)][: len(x)])
    fine, broken = translator.translate_batch([translator.prepare(image)] * 2)
    assert isinstance(fine, ImageData)
    assert isinstance(broken, ImageError)
    net, coding = coded()
    torch.nn.init.constant_(next(net.parameters()), value)
    for call in (coding, lambda x: coding.samples(x, 2), lambda x: coding.interpolate(x, x)):
        with pytest.raises(ImageError, match="not finite"):
            call(image)


def test_the_mask_says_where_it_paints(translator: Translator) -> None:
    pixels = noise(32, 40, 3)
    assert translator.has_mask
    with torch.no_grad():
        attention = translator.net.attention(to_tensor(pixels)[None])
    assert np.abs(translator.mask(ImageData(pixels)).astype(int) - from_tensor(attention[0] * 2 - 1)).max() <= 1
    assert translator.mask(ImageData(noise(30, 41, 3))).shape == (30, 41, 1)
    assert not Translator(*make()).has_mask


# --- many translations of one image


@pytest.mark.parametrize("spec", [CODED, TIED], ids=lambda spec: spec["name"])
def test_samples_differ_and_repeat(spec: dict) -> None:
    translator = coded(spec)[1]
    image = Image.fromarray(noise(30, 41, 3))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    three = translator.samples(image, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(sample.size == image.size for sample in three)
    different = [*three, translator(image), *translator.samples(image, 3, seed=1)]
    assert not any(equal(a, b, 3) for i, a in enumerate(different) for b in different[:i])
    torch.manual_seed(2)
    five = translator.samples(np.asarray(image), 5)
    assert all(equal(a, b) for a, b in zip(three, five, strict=False)), "number n is the same in any count"
    assert not equal(translator.samples(Image.fromarray(noise(30, 41, 3, seed=1)), 1)[0], three[0], 3)


def test_samples_are_drawn_from_the_images_own_distribution() -> None:
    pixels = noise(32, 40, 3)
    sure = coded(logvar=-30)[1]
    assert equal(sure.samples(pixels, 1)[0], sure(pixels), 1), "no spread, no difference"
    net, translator = coded(logvar=0)
    seen = []
    net.decoder.register_forward_pre_hook(lambda _net, inputs: seen.append(inputs[0]))
    translator.samples(pixels, 40)
    with torch.no_grad():
        mean, _ = net.encode(to_tensor(pixels)[None])
    drawn = torch.cat(seen) - mean
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.std() - 1) < 0.05
    assert abs(drawn[0] - drawn[1]).max() > 0.5
    rgba = noise(32, 32, 4)
    (sample,) = translator.samples(Image.fromarray(rgba), 1)
    assert (np.asarray(sample)[:, :, 3] == rgba[:, :, 3]).all()


@pytest.mark.parametrize("spec", [CODED, TIED], ids=lambda spec: spec["name"])
def test_interpolation_goes_from_one_translation_to_the_other(spec: dict) -> None:
    net, translator = coded(spec)
    one, other = noise(33, 40, 3), noise(33, 40, 3, seed=1)
    walk = translator.interpolate(one, other, 5)
    assert (len(walk), len(translator.interpolate(one, other))) == (5, 8)
    assert equal(walk[0], translator(one))
    assert equal(walk[-1], translator(other))
    assert not any(equal(a, b, 1) for i, a in enumerate(walk) for b in walk[:i])
    if net.size is None:
        with torch.no_grad():
            means = [net.encode(to_tensor(pixels[:32])[None])[0] for pixels in (one, other)]
            middle = from_tensor(net.decode((means[0] + means[1]) / 2)[0])
        assert equal(translator.interpolate(one[:32], other[:32], 3)[1], Image.fromarray(middle), 1)
    larger = Image.fromarray(noise(64, 50, 3))
    resized = translator.interpolate(one, larger, 2)
    assert [image.shape for image in resized] == [(33, 40, 3)] * 2
    assert equal(resized[-1], translator(larger.resize((40, 33), Image.Resampling.BICUBIC)))
    with pytest.raises(ValueError, match="two ends"):
        translator.interpolate(one, other, 1)


# --- loading


def test_which_weights_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "config.yaml").touch()
    with pytest.raises(FileNotFoundError, match="has no weights yet"):
        weights_file(tmp_path)
    for name in ("BtoA", "BtoA.raw", "AtoB"):
        (tmp_path / "weights" / f"{name}.safetensors").touch()
        assert weights_file(tmp_path).name == ("AtoB" if name == "AtoB" else "BtoA") + ".safetensors"
    assert weights_file(tmp_path, "BtoA", ema=False).name == "BtoA.raw.safetensors"
    with pytest.raises(FileNotFoundError, match=r"train\.evaluate_every"):
        weights_file(tmp_path, best=True)


def test_a_weights_file_has_a_direction(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="translates AtoB, not BtoA"):
        Translator.load(weights_of(tmp_path / "a.safetensors"), "BtoA")
    (tmp_path / "x.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match=r"x\.safetensors: not a weights file"):
        Translator.load(tmp_path / "x.safetensors")
