"""Clips: length, frame rate, sound and rotation as they came; even brightness; what a kill or damage leaves."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generators import SMALL, go, make
from PIL import Image

from support import noise
from viceversa.data.image_data import ImageData, ImageError
from viceversa.translate import clips, video
from viceversa.translator import Translator

av: Any = pytest.importorskip("av")
RATE, COUNT, HEIGHT, WIDTH = Fraction(30000, 1001), 12, 32, 48


def frame(number: int) -> np.ndarray:
    """A square that moves over a steady background."""
    pixels = np.kron(noise(4, 6, 3), np.ones((8, 8, 1), np.uint8))
    pixels[8:24, 2 * number : 2 * number + 12] = 250
    return pixels


def make_clip(path: Path, count: int = COUNT, rotation: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=RATE, options={"crf": "1"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if rotation:
            pictures.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(count):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame(number), format="rgb24")))
        container.mux(pictures.encode())
        for start in range(0, 16000 * count // 30, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 20, dtype=np.float32)[None]
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 16000, start
            container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return path


def facts(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        pictures = container.streams.video[0]
        rate = pictures.average_rate
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]
    with av.open(str(path)) as container:
        frames = [
            (f.time, np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90))) for f in container.decode(video=0)
        ]
    return {"rate": rate, "sound": sound, "times": [time for time, _ in frames], "frames": [x for _, x in frames]}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4")


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov"])
def test_length_rate_and_sound_are_kept(weights: Path, clip: Path, name: str) -> None:
    result = go(weights, clip, name)
    assert (result.written, len(result.flicker)) == ([clip.parent / name], 1)
    before, after = facts(clip), facts(clip.parent / name)
    assert after["sound"] == before["sound"]
    assert abs(float(after["rate"] / before["rate"]) - 1) < 1e-3
    late = np.subtract(after["times"], before["times"])  # Matroska starts with the sound, which starts before 0
    assert np.abs(late - late[0]).max() < 1e-3
    assert len(after["frames"]) == COUNT
    assert not list(clip.parent.glob(".*"))


def test_colours_are_kept(weights: Path, clip: Path) -> None:
    go(weights, clip, "out.mp4", strength=0.0)
    before, after = facts(clip)["frames"], facts(clip.parent / "out.mp4")["frames"]
    for x, y in zip(before, after, strict=True):
        assert np.abs(x.astype(int) - y).mean() < 4, "compressed"


def test_what_is_turned_comes_upright(weights: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 3, rotation=90)
    go(weights, clip, "out.mp4")
    assert facts(clip)["frames"][0].shape == facts(tmp_path / "out.mp4")["frames"][0].shape == (WIDTH, HEIGHT, 3)


def test_statistics_in_common_keep_the_background_steady() -> None:
    net, card = make({**SMALL, "width": 8})
    for parameter in net.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(10)
    translator = Translator(net.eval().requires_grad_(False), card)
    steady = noise(96, 48, 3)
    lit = [steady * np.float32(1 if n % 2 else 0.5) for n in range(6)]
    images = [ImageData(np.concatenate([x[:48].astype(np.uint8), steady[48:]])) for x in lit]
    lower = slice(80, None), slice(None)  # beyond the reach of the upper half, which flickers
    common = translator.with_statistics(images)
    moved = [np.std([t.translate(x).pixels[lower] for x in images], axis=0).mean() for t in (translator, common)]
    assert moved[1] < moved[0] / 5
    still = [images[1]] * 3
    assert (
        np.abs(
            translator.with_statistics(still).translate(still[0]).pixels.astype(int)
            - translator.translate(still[0]).pixels
        ).max()
        <= 1
    )
    with pytest.raises(ImageError, match="several sizes"):
        translator.with_statistics([images[0], ImageData(noise(64, 64, 3))])


def test_flicker_is_what_goes_to_and_fro() -> None:
    steady = [np.full((16, 16), 10.0 * n, np.float32) for n in range(9)]
    nervous = [np.full((16, 16), 10.0 * (n % 2), np.float32) for n in range(9)]
    assert (video.flicker(steady), video.flicker(nervous), video.flicker(steady[:2])) == (0, 10, 0)


def test_smoothing_keeps_what_stands_still() -> None:
    def run(share: float) -> list[np.ndarray]:
        memory = video.Memory()
        still = ImageData(np.full((16, 16, 3), 100, np.uint8))
        made = [ImageData(np.full((16, 16, 3), value, np.uint8)) for value in (100, 140, 100, 140)]
        return [memory.blended(still, result, share).pixels for result in made]

    assert [int(x.mean()) for x in run(0)] == [100, 140, 100, 140]
    assert [int(x.mean()) for x in run(0.5)] == [100, 120, 110, 125]


def test_still_images_are_not_smoothed(weights: Path, tmp_path: Path) -> None:
    Image.fromarray(frame(0)).save(tmp_path / "still.png")
    with pytest.raises(ValueError, match="--smooth"):
        go(weights, tmp_path / "still.png", smooth=0.5)


def test_a_killed_translation_goes_on(weights: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "PART", 4)
    go(weights, clip, "whole.mp4")
    made = list[int]()

    def dying(path: Path, frames: Any, *rest: Any) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        clips.write_part(path, frames, *rest)

    monkeypatch.setattr(video, "write_part", dying)
    with pytest.raises(KeyboardInterrupt):
        go(weights, clip, "out.mp4")
    monkeypatch.undo()
    monkeypatch.setattr(video, "PART", 4)
    seen = list[int]()
    translate = Translator.translate
    monkeypatch.setattr(Translator, "translate", lambda self, image: seen.append(1) or translate(self, image))
    go(weights, clip, "out.mp4")
    assert len(seen) == COUNT - 8
    one, other = facts(clip.parent / "whole.mp4"), facts(clip.parent / "out.mp4")
    assert one["times"] == other["times"]
    assert all((a == b).all() for a, b in zip(one["frames"], other["frames"], strict=True))


def test_damage_costs_what_follows_it(weights: Path, clip: Path) -> None:
    content = make_clip(clip.parent / "long.mkv", 60).read_bytes()
    (clip.parent / "long.mkv").write_bytes(content[: len(content) // 2])
    (clip.parent / "text.mp4").write_text("no video")
    result = go(weights, clip.parent, "out")
    out = clip.parent.parent / "out"
    assert out / "in.mp4" in result.written
    assert [file.name for file in result.failed] in (["text.mp4"], ["long.mkv", "text.mp4"])
    assert 0 < len(facts(out / "long.mkv")["frames"]) < 60


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations(weights: Path, tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(frame(n)) for n in range(4)]
    frames[0].save(
        tmp_path / f"in.{suffix}", save_all=True, append_images=frames[1:], duration=[40, 80, 40, 120], loop=0
    )
    result = go(weights, tmp_path / f"in.{suffix}", f"out.{suffix}")
    assert result.failed == {}
    with Image.open(result.written[0]) as image:
        assert (image.n_frames, image.size) == (4, (WIDTH, HEIGHT))
        lengths = []
        for number in range(4):
            image.seek(number)
            image.load()
            lengths.append(image.info["duration"])
    assert lengths == [40, 80, 40, 120]
    assert go(weights, tmp_path / f"in.{suffix}", "out.mp4").failed == {}
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [round(f.time * 1000) for f in container.decode(video=0)] == [0, 40, 120, 160]
    still = go(weights, tmp_path / f"in.{suffix}", "out.jpg")
    assert "moves" in still.failed[tmp_path / f"in.{suffix}"]
    (tmp_path / "masks").mkdir()
    assert "mask" in go(weights, tmp_path / f"in.{suffix}", f"no.{suffix}", mask=tmp_path / "masks").failed.popitem()[1]


def test_a_folder_of_frames_has_statistics_in_common_if_asked(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.fromarray(frame(number) // (1 + number)).save(tmp_path / "in" / f"{number}.png")
    one, other = go(weights, tmp_path / "in"), go(weights, tmp_path / "in", "common", clip_statistics=True)
    assert len(one.written) == len(other.written) == 3
    assert any(
        (np.asarray(Image.open(a)) != np.asarray(Image.open(b))).any()
        for a, b in zip(one.written, other.written, strict=True)
    )
