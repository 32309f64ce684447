"""What becomes of a clip: length, frame rate, sound, flicker; and of one whose translation is killed.

    python benchmarks/clip.py OUT RUN [PHOTO] -- --size 64      # words after -- go to every `viceversa translate`

Makes a clip of five seconds with sound in OUT: a slow pan over the photo, or a drawn picture, with a bright board that
moves through. Translates it with statistics in common, with each frame's own, and smoothed; then starts another
translation, kills it by SIGKILL when its first part is written, and starts it again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from viceversa.data import water2wine

RATE, SECONDS, WIDTH, HEIGHT = 24, 5, 256, 144
WAYS = {"common": [], "own": ["--no-clip-statistics"], "smooth": ["--smooth", "0.6"]}


def make_clip(path: Path, photo: Path) -> None:
    """Write the clip."""
    count = RATE * SECONDS
    with Image.open(photo) as image:
        scale = max((WIDTH + count) / image.width, HEIGHT / image.height)
        scene = image.convert("RGB").resize((round(image.width * scale) + 1, round(image.height * scale) + 1))
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=RATE, options={"crf": "12"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(count):
            frame = np.array(scene.crop((number, 0, number + WIDTH, HEIGHT)))
            frame[40:110, max(0, 4 * number - 100) : max(0, 4 * number - 40)] = 250
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(pictures.encode())
        for start in range(0, 44100 * SECONDS, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 16, dtype=np.float32)[None] / 2
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 44100, start, Fraction(1, 44100)
            container.mux(sound.encode(samples))
        container.mux(sound.encode())


def facts(path: Path) -> tuple[str, list[bytes]]:
    """Return what PyAV says of a clip, and its packets of sound."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        rate = container.streams.video[0].average_rate
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]
    return (
        f"{len(times)} frames, {float(rate or 0):g}/s, the last at {times[-1]:.3f} s, {len(sound)} audio packets",
        sound,
    )


def start(run: str, clip: Path, out: Path, words: list[str]) -> subprocess.Popen[str]:
    """Start `viceversa translate`."""
    command = [sys.executable, "-m", "viceversa", "translate", run, str(clip), str(out), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Read the arguments."""
    words = sys.argv[1:]
    more = words[words.index("--") + 1 :] if "--" in words else []
    folder, run, *photo = words[: words.index("--")] if "--" in words else words
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    if not photo:
        water2wine.make(out / "drawn", size=256, count=1, test=1)
    clip = out / "clip.mp4"
    make_clip(clip, Path(photo[0]) if photo else next((out / "drawn" / "testA").iterdir()))
    print("input:", facts(clip)[0])
    for name, way in WAYS.items():
        target = out / f"{name}.mp4"
        target.unlink(missing_ok=True)
        said = start(run, clip, target, [*way, *more]).communicate()[0].strip().splitlines()[-1]
        same = "the same" if facts(target)[1] == facts(clip)[1] else "OTHER"
        print(f"{name}: {facts(target)[0]}; sound {same}; {said.partition(': ')[2]}")
    target = out / "killed.mp4"
    target.unlink(missing_ok=True)
    first = start(run, clip, target, more)
    while not (out / ".killed.mp4.parts" / "00000.npz").is_file() and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    parts = len(list((out / ".killed.mp4.parts").glob("*.npz")))
    start(run, clip, target, more).communicate()
    frames = []
    for path in (target, out / "common.mp4"):
        with av.open(str(path)) as container:
            frames.append([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    alike = all((one == other).all() for one, other in zip(*frames, strict=True))
    print(
        f"killed after {parts} parts and started again: {facts(target)[0]}; frames {'the same' if alike else 'OTHER'}"
    )


if __name__ == "__main__":
    main()
