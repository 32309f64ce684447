from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch import Tensor

from viceversa.data.image_data import ImageData, from_tensor, off_white, on_white, to_tensor, with_channels
from viceversa.data.image_io import read_image, write_image
from viceversa.nets import build_generator
from viceversa.nets.base import Generator
from viceversa.nets.layers import set_inference
from viceversa.nets.vae import VariationalGenerator
from viceversa.nets.weights import Card, save_generator
from viceversa.paths import weights_file
from viceversa.translate import Outcome, Wanted, at_size, plan, translate_pictures
from viceversa.translator import SMALLEST, Translator, margins

SMALL = {"name": "resnet", "width": 4, "blocks": 1}
CODED = {"name": "resnet_vae", "width": 4, "blocks": 2, "latent": 4, "norm": "instance"}
TIED = {"name": "vae1", "width": 4, "downs": 3, "latent": 8, "norm": "instance"}


def make(spec: dict = SMALL, channels: tuple[int, int] = (3, 3), inference: str = "running") -> tuple[Generator, Card]:
    torch.manual_seed(0)
    net = build_generator(spec, *channels, size=64)
    return net, Card(spec, *channels, 64, "AtoB", inference, {"step": 7})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "AtoB.safetensors"
    save_generator(path, *make({**SMALL, "mask": True}))
    return path


@pytest.fixture(scope="module")
def translator(weights: Path) -> Translator:
    return Translator.load(weights)


class Same(Generator):
    """Returns its input; insists on the promised multiple."""

    multiple = 8

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size, self.seen = size, list[tuple[int, ...]]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        assert all(side % self.multiple == 0 for side in self.seen[-1])
        return x


def same(channels: tuple[int, int] = (3, 3), size: int | None = None) -> Translator:
    return Translator(Same(size), make(channels=channels)[1])


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# --- sizes


@given(st.integers(1, 3000), st.sampled_from([1, 2, 4, 8, 256]))
def test_margins_reach_the_next_multiple_evenly(length: int, multiple: int) -> None:
    before, after = margins(length, multiple)
    whole = before + length + after
    assert whole % multiple == 0
    assert SMALLEST <= whole < max(SMALLEST, length) + multiple
    assert 0 <= after - before <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 500), (67, 45), (64, 64)])
def test_every_size_is_kept(translator: Translator, size: tuple[int, int]) -> None:
    assert translator.pixels(noise(*size, 3)).shape == (*size, 3)
    pixels = noise(*size, 3)
    assert (same().pixels(pixels) == pixels).all(), "what was added around is cut off in the right place"


def test_what_is_added_mirrors_the_picture() -> None:
    seen = []
    net = Same()
    net.register_forward_hook(lambda _net, inputs, _result: seen.append(inputs[0]))
    pixels = noise(33, 40, 3)
    Translator(net, make()[1]).pixels(pixels)
    (x,) = seen
    assert x.shape == (1, 3, 40, 40)
    top = margins(33, 8)[0]
    assert torch.equal(x[0, :, top - 1], to_tensor(pixels)[:, 1])
    assert torch.equal(x[0, :, top : top + 33], to_tensor(pixels))


def test_a_network_of_one_size_gets_it() -> None:
    translator = same(size=16)
    assert translator.pixels(noise(50, 20, 3)).shape == (50, 20, 3)
    assert translator.net.seen == [(16, 16)]
    pixels = noise(16, 16, 3)
    assert (translator.pixels(pixels) == pixels).all()


# --- transparency


@given(arrays(np.uint8, (3, 4, 3)), arrays(np.uint8, (3, 4)))
def test_off_white_undoes_the_blending_with_white(pixels: np.ndarray, alpha: np.ndarray) -> None:
    blended = on_white(pixels, alpha)
    assert (on_white(off_white(blended, alpha), alpha) == blended).all()


def test_off_white_gives_solid_colours_back() -> None:
    pixels = noise(9, 9, 3)
    for alpha in (255, 200):
        level = np.full((9, 9), alpha, np.uint8)
        assert np.abs(off_white(on_white(pixels, level), level).astype(int) - pixels).max() <= 255 - alpha


def test_alpha_is_kept(translator: Translator) -> None:
    rgba = noise(20, 30, 4)
    result = np.asarray(translator(Image.fromarray(rgba)))
    assert (result[:, :, 3] == rgba[:, :, 3]).all()
    assert translator(Image.fromarray(rgba)).mode == "RGBA"
    assert translator(Image.fromarray(rgba[:, :, :3])).mode == "RGB"


def test_the_network_sees_transparent_pictures_on_white(translator: Translator) -> None:
    rgba = noise(40, 40, 4)
    rgba[:, :, 3] = 255
    solid = translator.picture(ImageData(rgba[:, :, :3], rgba[:, :, 3]))
    assert (solid.pixels == translator.pixels(rgba[:, :, :3])).all()
    nothing = ImageData(rgba[:, :, :3], np.zeros((40, 40), np.uint8))
    assert (with_channels(nothing, 3) == 255).all()


def test_alpha_through_networks_of_four_channels() -> None:
    rgba = noise(40, 40, 4)
    picture = ImageData(rgba[:, :, :3], rgba[:, :, 3])
    both = same((4, 4)).picture(picture)
    assert (both.pixels == rgba[:, :, :3]).all()
    assert (both.alpha == rgba[:, :, 3]).all()
    for channels in ((4, 3), (3, 4)):
        result = Translator(*make(channels=channels)).picture(picture)
        assert result.pixels.shape == (40, 40, 3)
        assert result.alpha is not None
    sees_alpha = Translator(*make(channels=(4, 3)))
    assert (sees_alpha.picture(picture).alpha == rgba[:, :, 3]).all()
    assert (sees_alpha.picture(picture).pixels == sees_alpha.pixels(rgba)).all(), "it saw no white to be taken off"


# --- modes


def test_gray(translator: Translator) -> None:
    gray = Image.fromarray(noise(20, 30))
    assert translator(gray).size == (30, 20)
    assert translator(gray).mode == "RGB", "the network may paint a gray picture"
    to_gray = Translator(*make(channels=(3, 1)))
    assert to_gray(Image.fromarray(noise(20, 30, 3))).mode == "L"
    assert to_gray(Image.fromarray(noise(20, 30, 4))).mode == "LA"
    assert Translator(*make(channels=(1, 3)))(gray).mode == "RGB"


def test_sixteen_bits_are_scaled_not_cut() -> None:
    ramp = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    result = np.asarray(same((1, 1))(Image.fromarray(ramp)))
    assert np.abs(result - ramp / 257).max() <= 0.51


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(noise(20, 30, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        result = same()(opened)
    assert (np.asarray(result) == np.rot90(np.asarray(image), -1)).all()


def test_arrays_and_images_are_the_same(translator: Translator) -> None:
    for shape in ((20, 30, 3), (20, 30, 4), (20, 30, 1), (20, 1)):
        pixels = noise(*shape)
        image = Image.fromarray(pixels[:, :, 0] if shape[2:] == (1,) else pixels)
        assert (np.asarray(translator(pixels)) == np.asarray(translator(image))).all()


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), noise(4, 4, 2), noise(4), noise(1, 4, 4, 3)])
def test_other_arrays_are_refused(translator: Translator, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        translator(wrong)


# --- determinism


def test_translation_is_deterministic_and_leaves_the_random_numbers_alone() -> None:
    net, card = make({"name": "unet", "width": 4, "depth": 6, "dropout": 0.5}, inference="original")
    set_inference(net, "original")
    translator = Translator(net, card)
    pixels = noise(33, 40, 3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = translator.pixels(pixels)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert (translator.pixels(pixels) == first).all()
    set_inference(net, "image")
    assert (translator.pixels(pixels) != first).any(), "dropout was on"


# --- masks


def test_the_mask_says_where_it_paints(translator: Translator) -> None:
    pixels = noise(30, 41, 3)
    assert translator.has_mask
    mask = translator.mask(ImageData(pixels))
    assert mask.shape == (30, 41, 1)
    (top, bottom), (left, right) = margins(30, 4), margins(41, 4)
    padded = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="reflect")
    with torch.no_grad():
        attention = translator.net.attention(to_tensor(padded)[None])
    assert attention is not None
    expected = from_tensor(attention[0, :, top : top + 30, left : left + 41] * 2 - 1)
    assert (mask == expected).all()


def test_without_a_mask() -> None:
    assert not Translator(*make()).has_mask


# --- many translations of one picture


def coded(spec: dict = CODED, logvar: float = 0.0) -> tuple[VariationalGenerator, Translator]:
    """A variational generator with this log-variance everywhere, and its translator."""
    net, card = make(spec)
    assert isinstance(net, VariationalGenerator)
    for layer in net.logvar.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, logvar)  # type: ignore[arg-type]
    return net.eval(), Translator(net, card)


def same_image(a: Image.Image, b: Image.Image, within: int = 0) -> bool:
    return a.mode == b.mode and bool(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= within)


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
    assert not any(same_image(a, b, 3) for i, a in enumerate(different) for b in different[:i])
    torch.manual_seed(2)
    five = translator.samples(np.asarray(image), 5)
    assert all(same_image(a, b) for a, b in zip(three, five, strict=False)), "number n is the same in any count"
    other = Image.fromarray(noise(30, 41, 3, seed=1))
    assert not same_image(translator.samples(other, 1)[0], three[0], 3)


def test_samples_are_drawn_from_the_pictures_own_distribution() -> None:
    pixels = noise(32, 40, 3)
    sure = coded(logvar=-30)[1]
    assert same_image(sure.samples(pixels, 1)[0], sure(pixels), 1), "no spread, no difference"
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


def test_samples_keep_what_is_transparent() -> None:
    rgba = noise(32, 32, 4)
    (sample,) = coded()[1].samples(Image.fromarray(rgba), 1)
    assert (np.asarray(sample)[:, :, 3] == rgba[:, :, 3]).all()


@pytest.mark.parametrize("spec", [CODED, TIED], ids=lambda spec: spec["name"])
def test_a_walk_goes_from_one_translation_to_the_other(spec: dict) -> None:
    net, translator = coded(spec)
    one, other = noise(33, 40, 3), noise(33, 40, 3, seed=1)
    walk = translator.interpolate(one, other, 5)
    assert len(walk) == 5
    assert same_image(walk[0], translator(one))
    assert same_image(walk[-1], translator(other))
    assert not any(same_image(a, b, 1) for i, a in enumerate(walk) for b in walk[:i])
    assert len(translator.interpolate(one, other)) == 8
    if net.size is None:
        with torch.no_grad():
            means = [net.encode(to_tensor(pixels[:32])[None])[0] for pixels in (one, other)]
            middle = from_tensor(net.decode((means[0] + means[1]) / 2)[0])
        assert same_image(translator.interpolate(one[:32], other[:32], 3)[1], Image.fromarray(middle), 1)


def test_a_walk_has_the_size_of_its_start() -> None:
    translator = coded()[1]
    one, other = noise(32, 40, 3), Image.fromarray(noise(64, 50, 3, seed=1))
    walk = translator.interpolate(Image.fromarray(one), other, 2)
    assert [image.size for image in walk] == [(40, 32), (40, 32)]
    assert same_image(walk[-1], translator(other.resize((40, 32), Image.Resampling.BICUBIC)))
    with pytest.raises(ValueError, match="a walk has two ends"):
        translator.interpolate(one, other, 1)


def test_generators_without_codes_say_so() -> None:
    translator = Translator(*make())
    for call in (
        lambda: translator.samples(noise(32, 32, 3), 2),
        lambda: translator.interpolate(*[noise(32, 32, 3)] * 2),
    ):
        with pytest.raises(ValueError, match=r"resnet is not variational.*; use vae1, vaegan, resnet_vae, res_vae"):
            call()


# --- sizes to translate at


@pytest.mark.parametrize(("shape", "size", "wanted"), [((40, 60), 20, (20, 30)), ((60, 40), 20, (30, 20))])
def test_the_short_side_is_brought_to_a_size(shape: tuple[int, int], size: int, wanted: tuple[int, int]) -> None:
    stripes = np.zeros((*shape, 3), np.uint8)
    stripes[:, ::2] = 255
    small = at_size(ImageData(stripes), size)
    assert small.pixels.shape == (*wanted, 3)
    assert np.abs(small.pixels[4:-4, 4:-4].astype(int) - 127).max() < 20, "antialiased"
    assert at_size(ImageData(stripes), None).pixels is stripes
    assert at_size(ImageData(stripes), 80).pixels.shape[:2] == (wanted[0] * 4, wanted[1] * 4)


@pytest.mark.parametrize(("dtype", "value", "within"), [(np.uint8, 200, 1), (np.float32, 0.8, 1e-5)])
def test_the_size_of_transparent_pictures(dtype: type, value: float, within: float) -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 20:] = 255
    small = at_size(ImageData(np.full((40, 40, 1), value, dtype), alpha, True), 10)
    assert small.alpha is not None
    assert (small.pixels.dtype, small.alpha.dtype) == (dtype, np.uint8)
    assert (small.alpha[:, :3] == 0).all()
    assert (small.alpha[:, -3:] == 255).all()
    assert np.abs(small.pixels[:, -3:].astype(float) - value).max() <= within


def test_colours_that_are_not_seen_do_not_spread() -> None:
    pixels, alpha = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), np.uint8)
    pixels[:, :22], alpha[:, 22:] = 0, 255
    small = at_size(ImageData(pixels, alpha), 10)
    assert small.alpha is not None
    assert 0 < small.alpha[0, 5] < 255
    assert np.abs(small.pixels[:, 5].astype(int) - 200).max() < 5


# --- loading


def test_a_run_has_directions_and_raw_weights(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"not a run, it has no config\.yaml"):
        weights_file(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(FileNotFoundError, match="has no weights yet"):
        weights_file(tmp_path)
    for name in ("BtoA", "BtoA.raw"):
        (folder / f"{name}.safetensors").touch()
    assert weights_file(tmp_path).name == "BtoA.safetensors"
    assert weights_file(tmp_path, "BtoA", ema=False).name == "BtoA.raw.safetensors"
    with pytest.raises(ValueError, match="translates BtoA, not AtoB"):
        weights_file(tmp_path, "AtoB")
    (folder / "AtoB.safetensors").touch()
    assert weights_file(tmp_path).name == "AtoB.safetensors"
    with pytest.raises(FileNotFoundError, match="no such run or weights file"):
        weights_file(tmp_path / "nothing")


def test_a_weights_file_knows_its_direction(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="translates AtoB, not BtoA"):
        Translator.load(weights, "BtoA")
    (tmp_path / "x.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match=r"x\.safetensors: not a weights file"):
        Translator.load(tmp_path / "x.safetensors")


# --- which file goes where


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "2.jpg", "10.jpg", "deep/a.png", "deep/er/c.webp"):
        write_image(tmp_path / "photos" / name, noise(20, 24, 3))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def planned(source: object, target: Path) -> dict[str, str]:
    return {str(a): str(b.relative_to(target)) for a, b in plan(str(source), target)}


def test_plan_of_a_file(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert plan(str(photos / "a.png"), out) == [(photos / "a.png", out / "a.png")]
    assert plan(str(photos / "a.png"), tmp_path / "b.jpg") == [(photos / "a.png", tmp_path / "b.jpg")]
    (tmp_path / "folder.png").mkdir()
    assert plan(str(photos / "a.png"), tmp_path / "folder.png")[0][1] == tmp_path / "folder.png" / "a.png"


def test_plan_of_a_folder_keeps_its_structure(photos: Path, tmp_path: Path) -> None:
    names = ["2.jpg", "10.jpg", "a.png", "deep/a.png", "deep/er/c.webp"]
    assert planned(photos, tmp_path / "out") == {str(photos / name): name for name in names}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", {"2.jpg", "10.jpg"}),
        ("a*", {"a.png"}),
        ("*", {"a.png", "2.jpg", "10.jpg"}),
        ("**/*.png", {"a.png", "deep/a.png"}),
        ("d*/*.png", {"deep/a.png"}),
        ("[a-b].png", {"a.png"}),
    ],
)
def test_plan_of_a_glob_is_relative_to_what_precedes_it(photos: Path, tmp_path: Path, pattern: str, names: set) -> None:
    assert set(planned(photos / pattern, tmp_path / "out").values()) == names


def test_plan_of_a_relative_glob(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    assert set(planned("photos/*.png", Path("out")).values()) == {"a.png"}
    monkeypatch.chdir(photos)
    assert set(planned("*.png", Path("out")).values()) == {"a.png"}
    assert set(planned("**/*.webp", Path("out")).values()) == {"deep/er/c.webp"}


def test_a_name_with_brackets_is_a_name(photos: Path, tmp_path: Path) -> None:
    write_image(photos / "x[1].png", noise(20, 20, 3))
    assert plan(str(photos / "x[1].png"), tmp_path / "out")[0][1].name == "x[1].png"


def test_earlier_outputs_below_the_input_are_no_inputs(photos: Path) -> None:
    write_image(photos / "out" / "a.png", noise(20, 24, 3))
    assert len(plan(str(photos), photos / "out")) == 5
    assert len(plan(str(photos / "**" / "*"), photos / "out")) == 5
    assert len(plan(str(photos), photos.parent)) == 6, "an output above the input leaves nothing out"


def test_mistakes_are_refused_before_anything_is_loaded(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, target, message in (
        (tmp_path / "nothing", "out", "there is no such file or folder"),
        (tmp_path / "empty", "out", "no pictures in it"),
        (photos / "*.gif", "out", "matches no pictures"),
        (photos, "photos", "is the input itself"),
        (photos / "a.png", "photos/a.png", "is the input itself"),
        (photos / "a.png", "photos", "is the input itself"),
        (photos, "out.png", "is the name of one picture, and there are 5"),
        (photos / "notes.txt", "out", "notes.txt: not a picture, by its suffix"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            plan(str(source), tmp_path / target)


# --- doing it


def go(weights: Path, source: object, target: Path, **options) -> Outcome:
    return translate_pictures(weights, [str(source)], target, device="cpu", **options)


def test_a_folder_is_translated(weights: Path, translator: Translator, photos: Path, tmp_path: Path) -> None:
    outcome = go(weights, photos, tmp_path / "out")
    assert (len(outcome.written), outcome.kept, outcome.failed, outcome.direction) == (5, [], {}, "AtoB")
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {"2.jpg", "10.jpg", "a.png", "deep/a.png", "deep/er/c.webp"}
    with Image.open(photos / "a.png") as image, Image.open(tmp_path / "out" / "a.png") as result:
        assert (np.asarray(result) == np.asarray(translator(image))).all()


def test_what_a_shell_made_of_a_glob_is_translated(weights: Path, photos: Path, tmp_path: Path) -> None:
    files = [str(photos / "2.jpg"), str(photos / "a.png")]
    outcome = translate_pictures(weights, files, tmp_path / "out", device="cpu")
    assert [path.name for path in outcome.written] == ["2.jpg", "a.png"]
    assert outcome.files == 2
    with pytest.raises(ValueError, match=r"one\.png: is the name of one picture, and there are 2"):
        translate_pictures(weights, files, tmp_path / "one.png", device="cpu")
    with pytest.raises(ValueError, match=r"a\.png: would be written for several pictures"):
        translate_pictures(weights, [files[1], str(photos / "deep" / "a.png")], tmp_path / "out", device="cpu")


def test_outputs_are_kept_unless_told_otherwise(weights: Path, photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "a.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    outcome = go(weights, photos, tmp_path / "out")
    assert (len(outcome.written), outcome.kept) == (4, [mine])
    assert mine.read_text() == "mine"
    outcome = go(weights, photos, tmp_path / "out", overwrite=True)
    assert (len(outcome.written), outcome.kept) == (5, [])
    assert mine.read_bytes().startswith(b"\x89PNG")


def test_broken_files_are_named_and_the_others_done(weights: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "1.png").write_bytes((photos / "a.png").read_bytes()[:100])
    (photos / "3.jpg").write_text("<html>not found</html>")
    outcome = go(weights, photos, tmp_path / "out")
    assert set(outcome.failed) == {photos / "1.png", photos / "3.jpg"}
    assert not outcome.failed[photos / "3.jpg"].startswith(str(photos)), "the name is said once"
    assert len(outcome.written) == 5
    assert not (tmp_path / "out" / "1.png").exists()


def test_masks_are_written_beside(weights: Path, photos: Path, tmp_path: Path) -> None:
    source = photos / "deep"
    go(weights, source, tmp_path / "out")
    outcome = go(weights, source, tmp_path / "out", wanted=Wanted(save_mask=True))
    assert len(outcome.written) == 2, "the translations are there, their masks were missing"
    with Image.open(tmp_path / "out" / "er" / "c.mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (24, 20))
    assert len(go(weights, source, tmp_path / "out", wanted=Wanted(save_mask=True)).kept) == 2


def test_masks_need_a_mask_and_a_name_of_their_own(weights: Path, photos: Path, tmp_path: Path) -> None:
    save_generator(tmp_path / "plain.safetensors", *make())
    with pytest.raises(ValueError, match=r"plain\.safetensors: has no attention mask; train with generator\.mask=true"):
        go(tmp_path / "plain.safetensors", photos, tmp_path / "out", wanted=Wanted(save_mask=True))
    write_image(photos / "a.jpg", noise(20, 20, 3))
    with pytest.raises(ValueError, match=r"a\.mask\.png: would be written for several"):
        go(weights, photos, tmp_path / "out", wanted=Wanted(save_mask=True))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vae") / "AtoB.safetensors"
    net, translator = coded()
    save_generator(path, net, translator.card)
    return path


def test_samples_of_a_folder(vae: Path, photos: Path, tmp_path: Path) -> None:
    source, out = photos / "deep", tmp_path / "out"
    outcome = go(vae, source, out, wanted=Wanted(samples=2, seed=5))
    assert len(outcome.written) == 2
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {"a.1.png", "a.2.png", "er/c.1.png", "er/c.2.png"}
    with Image.open(source / "a.png") as image, Image.open(out / "a.2.png") as second:
        assert same_image(second, Translator.load(vae).samples(image, 2, seed=5)[1])
    (out / "a.1.png").write_text("mine")
    outcome = go(vae, source, out, wanted=Wanted(samples=3, seed=5))
    assert len(outcome.written) == 2, "the third ones were missing"
    assert (out / "a.1.png").read_text() == "mine"
    assert len(go(vae, source, out, wanted=Wanted(samples=3, seed=5)).kept) == 2
    go(vae, photos / "a.png", tmp_path / "one.jpg", wanted=Wanted(samples=1))
    assert (tmp_path / "one.1.png").is_file()


def test_a_walk_in_files(vae: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = Wanted(walk_to=photos / "10.jpg", size=32)
    assert len(go(vae, photos / "2.jpg", out, wanted=wanted).written) == 1
    assert {path.name for path in out.iterdir()} == {f"2.{n}.png" for n in range(1, 9)}
    with Image.open(photos / "2.jpg") as image, Image.open(out / "2.1.png") as first:
        small = at_size(ImageData(np.asarray(image)), 32)
        assert same_image(first, Translator.load(vae)(small))
    go(vae, photos / "2.jpg", tmp_path / "three", wanted=Wanted(samples=3, walk_to=photos / "10.jpg"))
    assert len(list((tmp_path / "three").iterdir())) == 3


def test_pictures_are_translated_at_another_size(weights: Path, photos: Path, tmp_path: Path) -> None:
    go(weights, photos / "a.png", tmp_path / "b.png", wanted=Wanted(size=10, save_mask=True))
    for name in ("b.png", "b.mask.png"):
        with Image.open(tmp_path / name) as result:
            assert result.size == (12, 10)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(samples=2), r"a\.1\.png: would be written for several pictures"),
        (Wanted(seed=3), "--seed goes with --samples"),
        (Wanted(walk_to=Path("10.jpg")), r"10\.jpg: a walk to it starts from one picture, not from 6"),
    ],
)
def test_what_does_not_go_together_is_refused(
    wanted: Wanted, message: str, vae: Path, photos: Path, tmp_path: Path
) -> None:
    write_image(photos / "a.jpg", noise(20, 24, 3))
    with pytest.raises(ValueError, match=message):
        go(vae, photos, tmp_path / "out", wanted=wanted)
    assert not (tmp_path / "out").exists()


def test_a_walk_that_cannot_be_is_refused(vae: Path, weights: Path, photos: Path, tmp_path: Path) -> None:
    for wanted, message in (
        (Wanted(walk_to=photos / "none.png"), r"none\.png: cannot be read"),
        (Wanted(walk_to=photos / "a.png", seed=1), "--seed goes with --samples"),
        (Wanted(walk_to=photos / "a.png", samples=1), "a walk has two ends"),
    ):
        with pytest.raises(ValueError, match=message):
            go(vae, photos / "2.jpg", tmp_path / "out", wanted=wanted)
    for wanted in (Wanted(samples=2), Wanted(walk_to=photos / "a.png")):
        with pytest.raises(ValueError, match="is not variational"):
            go(weights, photos / "2.jpg", tmp_path / "out", wanted=wanted)
    assert not (tmp_path / "out").exists()


# --- more bits, more channels


def test_a_deep_picture_stays_deep(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((40, 33, 3), np.float32)
    picture = same().picture(ImageData(values))
    assert picture.pixels.dtype == np.float32
    assert np.abs(picture.pixels - values).max() < 1e-6
    assert np.asarray(same()(ImageData(values))).dtype == np.uint8
    alpha = noise(40, 33)
    seen = with_channels(ImageData(values, alpha), 3)
    restored = off_white(seen, alpha)
    assert np.abs(restored - values)[alpha > 60].max() < 1e-3


def test_any_number_of_channels_from_file_to_file(tmp_path: Path) -> None:
    weights = tmp_path / "AtoB.safetensors"
    save_generator(weights, *make(channels=(5, 2)))
    write_image(tmp_path / "in" / "x.npy", np.random.default_rng(0).random((40, 33, 5), np.float32))
    write_image(tmp_path / "in" / "y.tif", noise(40, 33, 5))
    write_image(tmp_path / "in" / "z.png", noise(40, 33, 3))
    outcome = translate_pictures(weights, [str(tmp_path / "in")], tmp_path / "out")
    assert [path.name for path in outcome.written] == ["x.npy", "y.tif"]
    assert "3 channels cannot be read as 5" in outcome.failed[tmp_path / "in" / "z.png"]
    written = [read_image(path).pixels for path in outcome.written]
    assert [(pixels.shape, pixels.dtype) for pixels in written] == [((40, 33, 2), np.float32), ((40, 33, 2), np.uint8)]
    one = translate_pictures(weights, [str(tmp_path / "in" / "y.tif")], tmp_path / "one.png")
    assert [path.name for path in one.written] == ["one.tiff"]
