"""A trained generator as a function from images to images."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from viceversa.backends import ExportedGenerator, draws_random_numbers, load_network, open_backend
from viceversa.backends.bands import Bands
from viceversa.backends.prepare import Kind, Picture, PreparedImage, like, to_image, to_image_data, to_input, to_pixels
from viceversa.backends.windows import frozen
from viceversa.config import Direction
from viceversa.data.image_data import ImageData, ImageError, eight_bits, resize, with_channels, with_depth
from viceversa.nets import GENERATORS, Generator, VariationalGenerator
from viceversa.nets.weights import Card
from viceversa.paths import weights_file

log = logging.getLogger("viceversa")
BATCH = 16
"""Images that are computed at once, at most."""


class Translator:
    """Translates images of any size with one trained generator; the same image always becomes the same image.

    >>> to_zebra = viceversa.load("runs/cyclegan-horse2zebra")  # doctest: +SKIP
    >>> to_zebra(Image.open("horse.jpg")).save("zebra.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        net: Generator,
        card: Card,
        device: torch.device | str = "cpu",
        backend: str = "eager",
        memory: int | None = None,
    ) -> None:
        self.net = net.to(device)
        self.card = card
        self.device = torch.device(device)
        self.memory = memory
        self.shown: Path | None = None
        self.backend_name = backend
        self._draws = draws_random_numbers(net)
        shares_state = self._draws or isinstance(net, ExportedGenerator)
        self._lock = threading.Lock() if shares_state else nullcontext()
        self.backend = open_backend(backend, self.net, memory)

    @classmethod
    def load(
        cls,
        path: Path | str,
        direction: Direction | None = None,
        *,
        ema: bool = True,
        best: bool = False,
        device: torch.device | str = "cpu",
        backend: str = "eager",
        memory: int | None = None,
    ) -> Translator:
        """Load a run's folder, a .safetensors weights file, or an .onnx or .xml file that was exported.

        Of a run with two directions, AtoB is taken unless `direction` says otherwise. `ema=False` takes the last
        weights instead of their moving average, `best` those that scored best in training; for `backend` see
        `with_backend`. Images whose computation would take more than `memory` bytes, or than is free, are computed in
        bands of rows. Raises FileNotFoundError or ValueError with the remedy.
        """
        file = weights_file(Path(path), direction, ema=ema, best=best)
        net, card = load_network(file)
        if direction not in (None, card.direction):
            raise ValueError(f"{path}: translates {card.direction}, not {direction}")
        translator = cls(net, card, device, backend, memory=memory)
        translator.shown = Path(path) / "samples" / "latest.png"
        return translator

    def _repr_png_(self) -> bytes | None:
        """The newest samples of the run that it was loaded from, which a notebook shows."""
        return self.shown.read_bytes() if self.shown and self.shown.is_file() else None

    def with_backend(self, name: str) -> Translator:
        """Return the same translator run by another of `viceversa.backends.BACKENDS`; samples and masks stay eager."""
        return Translator(self.net, self.card, self.device, name, self.memory)

    def with_statistics(self, images: Sequence[ImageData]) -> Translator:
        """Return a translator that normalises by what these images have together, not by each image's own statistics.

        So the frames of a clip are not each brought to the same contrast, which makes it flicker. It is the same
        translator where nothing is normalised so. Raises ImageError unless all images have one size.
        """
        inputs = [self.prepare(image).x for image in images]
        if len({x.shape for x in inputs}) > 1:
            raise ImageError("images of several sizes have no statistics in common; omit --clip-statistics")
        try:
            statistics = Bands(self.net).statistics(torch.cat(inputs).to(self.device))
        except ValueError as error:
            log.warning("each frame has its own statistics: %s", error)
            return self
        if not statistics:
            return self
        return Translator(frozen(self.net, statistics), self.card, self.device, self.backend_name, self.memory)

    @overload
    def __call__(self, image: list[Kind]) -> list[Kind]: ...
    @overload
    def __call__(self, image: Kind) -> Kind: ...
    def __call__(self, image: Any) -> Any:
        """Return the translation of an image, or of each image of a list, as the kind of thing that it was.

        PIL images become PIL images. Arrays (H, W) or (H, W, C), and tensors (C, H, W) or a batch (B, C, H, W), hold
        uint8, uint16 or floats in [0, 1], and so do their translations. Images of one size are computed in batches.
        Threads may share a translator. Raises ValueError for what is not an image, ImageError as `translate` does.

        >>> from PIL import Image
        >>> to_zebra(Image.new("RGB", (40, 30))).size
        (40, 30)
        >>> to_zebra(np.zeros((30, 40, 3), np.float32)).dtype
        dtype('float32')
        >>> [x.shape for x in to_zebra([torch.zeros(3, 64, 64), torch.zeros(3, 32, 48)])]
        [torch.Size([3, 64, 64]), torch.Size([3, 32, 48])]
        """
        if isinstance(image, torch.Tensor) and image.ndim == 4:
            return torch.stack(self(list(image)))
        images = image if isinstance(image, list) else [image]
        prepared = [self.prepare(to_image_data(one)) for one in images]
        results = dict[int, Any]()
        for shape in dict.fromkeys(one.x.shape for one in prepared):
            alike = [number for number, one in enumerate(prepared) if one.x.shape == shape]
            size = 1 if self._draws else BATCH
            for batch in (alike[first : first + size] for first in range(0, len(alike), size)):
                for number, result in zip(batch, self.translate_batch([prepared[n] for n in batch]), strict=True):
                    if isinstance(result, ImageError):
                        raise result
                    results[number] = like(result, images[number])
        made = [results[number] for number in range(len(images))]
        return made if isinstance(image, list) else made[0]

    def translate(self, image: ImageData) -> ImageData:
        """Return the translation of a decoded image, as deep as it is; what is transparent stays so.

        A generator without an alpha channel is given transparent images on white, as in training, and the white is
        removed again. One that makes an alpha channel decides itself what is transparent. Raises ImageError for an
        image of other channels than the network takes, and for a translation that is not finite.
        """
        (result,) = self.translate_batch([self.prepare(image)])
        if isinstance(result, ImageError):
            raise result
        return result

    def prepare(self, image: ImageData) -> PreparedImage:
        """Return an image with what the network is given of it; ImageError if it has not the right channels or bits."""
        image = with_depth(image, self.card.bits)
        return PreparedImage(image, to_input(with_channels(image, self.card.in_channels), self.net, self.device))

    def translate_batch(self, images: Sequence[PreparedImage]) -> list[ImageData | ImageError]:
        """Translate images whose `x` have one shape at once; each becomes what it would alone, up to rounding.

        In the place of a translation that is not finite there is an ImageError.
        """
        with self._repeatable():
            batch = torch.cat([one.x for one in images]) if len(images) > 1 else images[0].x
            results = self.backend(batch.to(self.device))
        translations = list[ImageData | ImageError]()
        for n, one in enumerate(images):
            try:
                translations.append(to_image(results[n : n + 1], one.image, self.net, self.card))
            except ImageError as error:
                translations.append(error)
        return translations

    def samples(self, image: Kind, count: int, seed: int = 0) -> list[Kind]:
        """Return translations of an image with codes drawn from the distribution that it is encoded to.

        Number n follows from the image, `seed` and n: a larger `count` only adds to a smaller one. Raises ValueError
        if the generator is not variational.
        """
        net, prepared = self._variational(), self.prepare(to_image_data(image))
        with self._repeatable():
            mean, logvar = net.encode(prepared.x.to(self.device))
        results = []
        for number in range(1, count + 1):
            own = np.random.SeedSequence((seed, number)).generate_state(1)[0]
            with self._repeatable():
                drawn = net.decode(net.sample(mean, logvar, torch.Generator().manual_seed(int(own))))
                results.append(like(to_image(drawn, prepared.image, self.net, self.card), image))
        return results

    def interpolate(self, one: Kind, other: Picture, count: int = 8) -> list[Kind]:
        """Go in equal steps from the code of one image to that of another; the ends are their translations.

        Codes are the means of their distributions. `other` is resized to the size of `one`, and what is transparent is
        white. Raises ValueError if the generator is not variational, or for a `count` below 2.
        """
        if count < 2:
            raise ValueError(f"interpolation has two ends, so it cannot have {count} images; ask for 2 or more")
        net = self._variational()
        first, last = (with_depth(to_image_data(image), self.card.bits) for image in (one, other))
        start = with_channels(first, self.card.in_channels)
        end = resize(with_channels(last, self.card.in_channels), start.shape[:2])
        with self._repeatable():
            a, b = (net.encode(to_input(pixels, self.net, self.device).to(self.device))[0] for pixels in (start, end))
            steps = [net.decode(torch.lerp(a, b, n / (count - 1))) for n in range(count)]
        opaque = ImageData(start, depth=first.depth)
        return [like(to_image(step, opaque, self.net, self.card), one) for step in steps]

    @property
    def has_mask(self) -> bool:
        """Whether the generator has an attention mask."""
        blank = to_input(np.zeros((1, 1, self.card.in_channels), np.uint8), self.net, self.device)
        with torch.inference_mode():
            return self.net.attention(blank.to(self.device)) is not None

    def mask(self, image: ImageData) -> NDArray[np.uint8]:
        """Return where the generator paints, uint8 (H, W, 1); only for generators with an attention mask."""
        with self._repeatable():
            mask = self.net.attention(self.prepare(image).x.to(self.device))
            assert mask is not None
            return eight_bits(to_pixels(mask * 2 - 1, image.pixels, self.net))

    def _variational(self) -> VariationalGenerator:
        if isinstance(self.net, VariationalGenerator):
            return self.net
        names = ", ".join(name for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator))
        own = self.card.generator["name"]
        raise ValueError(f"the generator {own} is not variational: it has no codes to sample; use {names}")

    @contextmanager
    def _repeatable(self) -> Iterator[None]:
        """Fix the random numbers, so that dropout, where the checkpoint asks for it, is the same for every call."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), self._lock, torch.random.fork_rng(devices, enabled=self._draws):
            if self._draws:
                torch.manual_seed(0)
            yield


load = Translator.load  # viceversa.load
