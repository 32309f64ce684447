"""A translator as a function in a program: any kind of image, lists, devices, threads."""

import doctest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from generators import make, same
from PIL import Image

from support import noise
from viceversa import translator as module
from viceversa.nets.layers import set_inference
from viceversa.translator import Translator

PIXELS = noise(40, 33, 3)
KINDS: dict[str, Any] = {
    "uint8": PIXELS,
    "uint16": PIXELS.astype(np.uint16) * 257,
    "float32": PIXELS / np.float32(255),
    "float64": PIXELS / 255,
    "tensor": torch.from_numpy(PIXELS / np.float32(255)).permute(2, 0, 1),
    "half tensor": torch.from_numpy(PIXELS / np.float32(255)).permute(2, 0, 1).half(),
    "byte tensor": torch.from_numpy(PIXELS).permute(2, 0, 1),
    "PIL": Image.fromarray(PIXELS),
    "alpha": np.dstack([PIXELS / np.float32(255), np.ones((40, 33), np.float32)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(kind: str) -> None:
    given = KINDS[kind]
    made = same()(given)
    assert type(made) is type(given)
    if isinstance(given, Image.Image):
        given, made = np.asarray(given), np.asarray(made)
    assert (made.dtype, made.shape) == (given.dtype, given.shape)
    assert abs(made.astype(float) - given if isinstance(given, np.ndarray) else made.float() - given).max() <= (
        1e-6 if kind.startswith("float") or kind in ("tensor", "alpha") else 1
    )


def test_kinds_are_translated_alike(translator: Translator) -> None:
    exact = translator(KINDS["float32"])
    assert np.abs(translator(KINDS["tensor"]).permute(1, 2, 0).numpy() - exact).max() < 1e-6
    assert np.abs(np.asarray(translator(KINDS["PIL"])) / 255 - exact).max() < 0.6 / 255
    assert np.abs(translator(KINDS["uint16"]) / 65535 - exact).max() < 1e-4
    for shape in ((20, 30, 4), (20, 30, 1), (20, 1)):
        pixels = noise(*shape)
        image = Image.fromarray(pixels[:, :, 0] if shape[2:] == (1,) else pixels)
        assert (translator(pixels) == np.asarray(translator(image))).all()
    assert (image.mode, translator(image).mode) == ("L", "RGB"), "gray becomes what the network paints"
    turned = translator(image.rotate(-90, expand=True))
    image.getexif()[0x0112] = 6  # turn clockwise
    assert translator(image).tobytes() == turned.tobytes()
    to_gray = Translator(*make(channels=(3, 1)))
    assert [to_gray(Image.fromarray(noise(20, 30, count))).mode for count in (3, 4)] == ["L", "LA"]
    assert Translator(*make(channels=(1, 1)))(PIXELS[:, :, 0]).shape == (40, 33)


WRONG = [PIXELS.astype(int), PIXELS / 1.0, PIXELS[None], PIXELS[0, 0], PIXELS[:, :, :2], torch.zeros(33)]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_image_is_refused(translator: Translator, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"uint8|0 to 1|channels"):
        translator(wrong)


def test_lists_are_batches(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [noise(40, 33, 3, seed=0), Image.fromarray(noise(64, 64, 3)), noise(40, 33, 3, seed=1)]
    alone = [translator(image) for image in images]
    sizes = list[int]()
    backend = translator.backend
    monkeypatch.setattr(translator, "backend", lambda x: sizes.append(len(x)) or backend(x))
    together = translator(images)
    assert [type(x) for x in together] == [type(x) for x in images]
    for one, other in zip(alone, together, strict=True):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    assert sizes == [2, 1]
    assert translator([]) == []
    assert translator(torch.rand(3, 3, 32, 48)).shape == (3, 3, 32, 48)


def test_threads_share_a_translator(translator: Translator) -> None:
    net, card = make({"name": "unet", "width": 4, "depth": 6, "dropout": 0.5}, inference="original")
    set_inference(net, "original")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for translate in (translator, Translator(net, card)):
        images = [noise(40 + n % 3, 64, 3, seed=n) for n in range(16)]
        alone = [translate(image) for image in images]
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(translate, images))
        assert all((one == other).all() for one, other in zip(alone, together, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    set_inference(net, "image")
    assert (translate(images[0]) != alone[0]).any(), "dropout was on"


def test_the_examples_in_the_docstring(translator: Translator) -> None:
    result = doctest.testmod(module, extraglobs={"to_zebra": translator})
    assert result.failed == 0
    assert result.attempted >= 3
