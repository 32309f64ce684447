"""A training that is hit by one fault after another, against its calm twin: is the result the same, is anything lost?

A tiny CycleGAN on the built-in worlds is struck at random moments, and each time continued with the same command:

    kill     SIGKILL                    term  SIGTERM, at which it must save
    corrupt  SIGKILL, then the newest checkpoint is damaged: emptied, cut off, a flipped or an overwritten part
    full     the disk fills up: a small tmpfs where one can be mounted, else writes that fail
    nan      a batch with a NaN, at steps that the calm twin has, too; once so many that the run must go back
    rank     one of two processes is killed (a second pair of runs, with torchrun)

At the end all of the newest checkpoint and the log must be bitwise those of the calm twin, and after no fault may more
be lost than the steps since the last planned checkpoint. Leaves with status 1 if that is not so.

    python benchmarks/chaos.py [--faults 50] [--seed 0] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAVE_EVERY, STEPS_A_FAULT, ROW = 5, 10, 10  # ROW: NaN steps in a row, after which a run goes back (train.max_skips)
SOLO = ("kill", "term", "corrupt", "full")
WORDS = [
    *("cyclegan", "data.load=36", "data.crop=32", "data.workers=0", "train.device=cpu", "train.precision=fp32"),
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2", "method.pool=4"),
    *("train.report=false", "train.samples=1", "train.sample_every=40 steps", "train.log_every=3 steps"),
    *(f"train.save_every={SAVE_EVERY} steps", "train.keep=2", f"train.max_skips={ROW}", "train.decay=0 steps"),
]


@dataclass
class Twin:
    """A run of `length` steps in `processes` processes. What is told about its steps lies beside its folder."""

    run: Path
    data: Path
    length: int
    processes: int
    nan: list[int]

    @property
    def told(self) -> Path:
        """One line a step: step, rank, process."""
        return self.run.parent.with_name(f"{self.run.parent.name}.told")

    def start(self, disk: str = "") -> subprocess.Popen[str]:
        """Start or continue the training; from the moment that the file `disk` exists, its writes fail."""
        script = [__file__, "--child", str(self.told), ",".join(map(str, self.nan)), disk]
        words = ["train", *WORDS, f"data.root={self.data}", f"run={self.run}", f"train.length={self.length} steps"]
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={self.processes}"]
        command = [sys.executable, *(torchrun if self.processes > 1 else []), *script, *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self.told.with_suffix(".out").open("a") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, text=True, env=environment)

    def steps(self) -> list[tuple[int, int, int]]:
        """Return (step, rank, process) of every step that was done, in order."""
        lines = self.told.read_text().split("\n")[:-1] if self.told.exists() else []
        return [(int(step), int(rank), int(process)) for step, rank, process in map(str.split, lines)]


@dataclass
class Tally:
    """What happened."""

    struck: Counter[str] = field(default_factory=Counter)
    lost: dict[str, list[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def note(self, kind: str, lost: int, most: int) -> None:
        """Count a fault after which `lost` steps had to be done again."""
        self.struck[kind] += 1
        self.lost.setdefault(kind, []).append(lost)
        print(f"{sum(self.struck.values())}: {kind}, {lost} steps done again", file=sys.stderr, flush=True)
        if lost > most:
            self.wrong.append(f"{kind}: {lost} steps lost, more than {most}")


def child(told: str, nan: str, disk: str) -> None:
    """Train as the command line does, but tell of every step, with NaN where it is wanted and a disk that fills up."""
    from viceversa.cli import main
    from viceversa.engine.learner import Learner

    train_step, bad = Learner.train_step, {int(step) for step in nan.split(",") if step}
    row = set(range(min(bad), min(bad) + ROW)) if bad else set()

    def telling(self: Learner, batch: Any, stop: bool = False) -> Any:
        if self.step + 1 in bad or (self.step + 1 in row and self.seed == 0):  # another order of the data cures the row
            batch["A"] = batch["A"] * float("nan")
        losses = train_step(self, batch, stop)
        with open(told, "a") as file:
            file.write(f"{self.step} {self.dist.rank} {os.getpid()}\n")
        return losses

    Learner.train_step = telling  # type: ignore[method-assign]
    if disk:
        fail_when(lambda: os.path.exists(disk))
    main()


def fail_when(full: Callable[[], bool]) -> None:
    """Let every file that is written through a Path fail once the disk is full."""
    opened = Path.open

    class File:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            if full():
                self.file.write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.file.name)
            return int(self.file.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def open_(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        file = opened(path, mode, *more, **named)
        return File(file) if set(mode) & set("wa") else file

    Path.open = open_  # type: ignore[method-assign]


def damage(path: Path, chance: random.Random) -> None:
    """Damage a file in one of four ways."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content) // 4, 3 * len(content) // 4)
    path.write_bytes(
        chance.choice(
            [
                b"",
                content[:place],
                content[:place] + bytes(4096) + content[place + 4096 :],
                content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :],
            ]
        )
    )


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system at `folder`, if that is allowed; say whether it was."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)]
    mounted = bool(shutil.which("mount")) and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(process: subprocess.Popen[str], ballast: Path) -> None:
    """Leave no room on the disk until the process has given up."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while file.write(bytes(2048)):
                pass
        time.sleep(0.002)
    ballast.unlink()


def strike(twin: Twin, process: subprocess.Popen[str], kind: str, chance: random.Random, switch: Path | None) -> int:
    """Let the fault happen to a running training; return the status with which that ended."""
    if kind == "full" and switch:
        switch.touch()
        process.wait(120)
        switch.unlink()
    elif kind == "full":
        fill_up(process, twin.run.parent / "ballast")
    elif kind == "rank":
        rank = chance.randrange(twin.processes)
        victim = next(number for _, other, number in reversed(twin.steps()) if other == rank)
        os.kill(victim, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGTERM if kind == "term" else signal.SIGKILL)
    return process.wait(120)


def disturb(twin: Twin, kinds: list[str], chance: random.Random, mounted: bool) -> Tally:
    """Train to the end, hit by a fault of each of the kinds, one after another."""
    from viceversa.engine.run_dir import checkpoint_files

    tally, most = Tally(), {"term": 0, "corrupt": 2 * SAVE_EVERY}
    before, kind = 0, ""
    for following in [*kinds, ""]:
        switch = None if mounted or following != "full" else twin.told.with_suffix(".full")
        process, done = twin.start(str(switch or "")), len(twin.steps())
        ahead = chance.randint(1, 2 * STEPS_A_FAULT - SAVE_EVERY) if following else 10**9
        while process.poll() is None and len(twin.steps()) - done < ahead * twin.processes:
            time.sleep(0.01)
        if kind:
            first = twin.steps()[done][0] if len(twin.steps()) > done else before + 1
            tally.note(kind, before - (first - 1), most.get(kind, SAVE_EVERY))
        if process.poll() is not None:
            if process.returncode:
                tally.wrong.append(f"after {kind or 'the start'}: ended with status {process.returncode}")
            break
        time.sleep(chance.uniform(0, 0.2))
        status = strike(twin, process, kind := following, chance, switch)
        before = twin.steps()[-1][0] if kind != "rank" else min(done_by(twin).values())
        if status != {"kill": -9, "term": 143, "corrupt": -9, "full": 1, "rank": 1}[kind] and (
            status or before < twin.length
        ):
            tally.wrong.append(f"{kind}: ended with status {status}")
        found = checkpoint_files(twin.run / "checkpoints")
        if kind == "corrupt" and len(found) > 1:
            damage(found[0], chance)
    return tally


def done_by(twin: Twin) -> dict[int, int]:
    """Return the last step of each process."""
    return {rank: step for step, rank, _ in twin.steps()}


def differences(one: Twin, other: Twin) -> list[str]:
    """Return in which values of the newest checkpoint and in which files two runs differ."""
    import torch

    def flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
        if isinstance(tree, dict | list):
            for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
                yield from flat(value, f"{path}/{key}")
        else:
            yield path, tree

    def values(twin: Twin) -> dict[str, Any]:
        parts = sorted((twin.run / "checkpoints").glob(f"step-{twin.length:08d}*.pt"))
        return {k: v for p in parts for k, v in flat(torch.load(p, weights_only=True), p.name)}

    def same(mine: Any, theirs: Any) -> bool:
        return torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else bool(mine == theirs)

    mine, theirs = values(one), values(other)
    if not mine or mine.keys() != theirs.keys():
        return ["checkpoints"]
    files = ["log.jsonl", "weights/AtoB.safetensors", "weights/BtoA.safetensors"]
    return [key for key in mine if not same(mine[key], theirs[key])] + [
        name for name in files if (one.run / name).read_bytes() != (other.run / name).read_bytes()
    ]


def campaign(folder: Path, data: Path, kinds: list[str], nan: int, processes: int, chance: random.Random) -> Tally:
    """Train two twins, the one in peace, and compare them."""
    length = STEPS_A_FAULT * (len(kinds) + 2) + 2 * ROW
    bad = sorted(chance.sample(range(SAVE_EVERY, length - 2 * ROW), nan))
    calm = Twin(folder / "calm" / "run", data, length, processes, bad)
    calm.run.parent.mkdir(parents=True)
    if status := calm.start().wait(900):
        sys.exit(f"the calm run ended with status {status}; see {calm.told.with_suffix('.out')}")
    struck = Twin(folder / "struck" / "run", data, length, processes, bad)
    with small_disk(struck.run.parent) as mounted:
        tally = disturb(struck, kinds, chance, mounted)
        for _ in range(nan):
            tally.note("nan", 0, 0)
        log = (struck.run / "log.jsonl").read_text("utf-8")
        if nan and (log.count('"skipped", "updates"') < nan or log.count('"went back"') != 1):
            tally.wrong.append("the log does not tell of every NaN")
        tally.wrong += [f"differs from the calm run: {name}" for name in differences(calm, struck)[:3]]
    return tally


def main() -> None:
    """Run both campaigns and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work and to leave the runs; else a temporary one")
    options = parser.parse_args()
    from viceversa.data import water2wine

    chance, began = random.Random(options.seed), time.monotonic()
    ranks, nan = max(1, options.faults // 10), max(1, options.faults // 8)
    kinds = [SOLO[i % len(SOLO)] for i in range(max(1, options.faults - ranks - nan))]
    chance.shuffle(kinds)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        water2wine.make(folder / "data", size=32, count=6, test=2)
        solo = campaign(folder / "solo", folder / "data", kinds, nan, 1, chance)
        pair = campaign(folder / "pair", folder / "data", ["rank"] * ranks, 0, 2, chance)
    print("| fault | times | steps done again: mean | most |\n|---|---|---|---|")
    for kind, lost in sorted({**solo.lost, **pair.lost}.items()):
        print(f"| {kind} | {len(lost)} | {sum(lost) / len(lost):.1f} | {max(lost)} |")
    wrong, total = solo.wrong + pair.wrong, sum((solo.struck + pair.struck).values())
    verdict = "; ".join(wrong) or "bitwise equal to the calm runs, nothing lost beyond the last checkpoint"
    print(f"{total} faults in {time.monotonic() - began:.0f} s: {verdict}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        arguments = sys.argv[2:5]
        sys.argv[1:] = sys.argv[5:]
        child(*arguments)
    else:
        main()
