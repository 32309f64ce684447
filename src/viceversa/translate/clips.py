"""Moving pictures, read frame by frame and written: videos with PyAV, animations with Pillow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from importlib.util import find_spec
from itertools import chain
from operator import sub
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from viceversa.data.image_data import ImageData, ImageError, Pixels, eight_bits, to_pil
from viceversa.data.image_io import from_pil, open_pil
from viceversa.files import replacing
from viceversa.translate.files import is_video

TimedFrame: TypeAlias = tuple[int, ImageData]
"""When it is shown, in units of the clip's time base, and what."""
CODECS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
OPTIONS = {
    "libx264": {"crf": "17", "bf": "0"},  # no frame refers to later ones, so that parts can be joined
    "libvpx-vp9": {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
    "mpeg4": {"qscale": "3"},
}
MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Clip:
    """A video or an animation that can be read."""

    path: Path
    count: int
    """Frames, as the file says or as follows from its length."""
    time_base: Fraction
    rate: Fraction
    loop: int = 0
    """How often an animation is shown; 0: for ever."""
    last: int = 0
    """How long its last frame is shown; 0: as long as the one before."""

    def frames(self, wanted: Callable[[int], bool] = lambda number: True) -> Iterator[TimedFrame]:
        """Decode, and yield the frames whose number is wanted, upright; ImageError where the file is damaged."""
        decode = self._video if is_video(self.path) else self._animation
        try:
            yield from decode(wanted)
        except ImageError:
            raise
        except Exception as error:  # on damaged files libraries raise nearly anything
            raise ImageError(f"{self.path}: damaged ({error})") from None

    def _video(self, wanted: Callable[[int], bool]) -> Iterator[TimedFrame]:
        import av

        with av.open(str(self.path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for number, frame in enumerate(container.decode(video=0)):
                if wanted(number):
                    pixels = frame.to_ndarray(format="rgb24")
                    turned = np.rot90(pixels, round(frame.rotation / 90))
                    yield int(frame.pts if frame.pts is not None else number), ImageData(np.ascontiguousarray(turned))

    def _animation(self, wanted: Callable[[int], bool]) -> Iterator[TimedFrame]:
        time = 0
        with open_pil(self.path, self.path.name) as image:
            for number in range(self.count):
                image.seek(number)
                image.load()
                if wanted(number):
                    yield time, from_pil(image.convert("RGBA" if image.has_transparency_data else "RGB"))
                time += round(image.info.get("duration") or 100)


def open_clip(path: Path) -> Clip:
    """Return what a video's or an animation's header says; ImageError, with the reason, if that cannot be read."""
    if not is_video(path):
        with open_pil(path, path.name) as image:
            count, loop = getattr(image, "n_frames", 1), image.info.get("loop", 1)
            first = round(image.info.get("duration") or 100)
            image.seek(count - 1)
            image.load()
            last = round(image.info.get("duration") or 100)
        return Clip(path, count, MILLISECOND, Fraction(1000, first), loop, last)
    if find_spec("av") is None:
        raise ImageError(f'{path}: videos need PyAV; pip install "viceversa[video]"')
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"{path}: holds no pictures, only sound")
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            seconds = (container.duration or 0) / av.time_base
            return Clip(path, stream.frames or max(1, round(seconds * rate)), stream.time_base or 1 / rate, rate)
    except av.FFmpegError as error:
        raise ImageError(f"{path}: damaged, or not a video ({error.strerror})") from None


def write_part(path: Path, frames: Iterable[TimedFrame], clip: Clip, suffix: str) -> None:
    """Encode frames as a part of a video whose suffix is given; the file appears whole or not at all."""
    import av

    codec = CODECS.get(suffix, "libx264")
    with replacing(path) as partial, av.open(str(partial), "w", format="nut") as container:
        stream: Any = None
        for time, image in frames:
            if stream is None:
                height, width = image.pixels.shape[:2]
                stream = container.add_stream(codec, rate=clip.rate, options=OPTIONS[codec])
                stream.width, stream.height = width, height
                stream.pix_fmt = "yuv444p" if codec == "libx264" and (width % 2 or height % 2) else "yuv420p"
                stream.codec_context.time_base = clip.time_base
            frame = av.VideoFrame.from_ndarray(rgb(image), format="rgb24")
            frame.pts, frame.time_base = time, clip.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def join_parts(parts: Sequence[Path], source: Path, output: Path, clip: Clip) -> None:
    """Write the parts as one video, with the sound of the source as it is. Raises ImageError if it does not fit."""
    import av

    try:
        opened = av.open(str(source)) if is_video(source) else nullcontext()
        with replacing(output) as partial, av.open(str(partial), "w") as container, opened as original:
            container.metadata.update(original.metadata if original else {})
            with av.open(str(parts[0])) as first:
                video = container.add_stream_from_template(first.streams.video[0])
            video.time_base, video.codec_context.framerate = clip.time_base, clip.rate
            sound = {s.index: container.add_stream_from_template(s) for s in original.streams.audio} if original else {}
            pictures = chain.from_iterable(_packets(part, {0: video}) for part in parts)
            heard = _packets(source, sound) if sound else iter(())
            for packet in merge(pictures, heard, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"{output}: cannot hold this sound or picture ({error}); name an .mkv file") from None


def _packets(path: Path, streams: dict[int, Any]) -> Iterator[Any]:
    """Yield the packets of some streams of a file, as packets of the streams that they go to."""
    import av

    with av.open(str(path)) as container:
        for packet in container.demux(*(container.streams[index] for index in streams)):
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                yield packet


def write_animation(path: Path, frames: Iterable[TimedFrame], clip: Clip) -> None:
    """Write frames, if there are any, as an animation in the format of the suffix."""
    times, images = [], []
    for time, image in frames:
        times.append(time)
        images.append(to_pil(image))
    if not images:
        return
    last = clip.last or (times[-1] - times[-2] if len(times) > 1 else 1)
    lengths = [round(length * clip.time_base / MILLISECOND) for length in (*map(sub, times[1:], times), last)]
    more: dict[str, Any] = {"disposal": 2} if path.suffix.lower() == ".gif" else {"quality": 95}
    with replacing(path) as partial:
        images[0].save(partial, save_all=True, append_images=images[1:], duration=lengths, loop=clip.loop, **more)


def rgb(image: ImageData) -> Pixels:
    """Return 8-bit RGB pixels (H, W, 3), as a video has them."""
    return np.asarray(to_pil(ImageData(eight_bits(image.pixels), image.alpha)).convert("RGB"))
