"""Whatever a stranger's file holds: it is read, or refused with an error of ours, and nothing else happens.

VICEVERSA_FUZZ=10000 tries so many files for each reader, instead of some dozens.
"""

import copy
import io
import json
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from packing import PACKERS
from support import TINY, noise
from viceversa import engine, report
from viceversa.cli import _is_for_the_user
from viceversa.config import Config, ConfigError, load_config, load_words, to_tree, validate
from viceversa.data import ImageError, open_loader
from viceversa.data.archives import ArchiveError, unpack
from viceversa.data.image_io import image_size, read_image
from viceversa.data.tables import read_manifest, read_shards
from viceversa.engine.checkpoint import Checkpoints
from viceversa.engine.diagnostics import diagnose, update
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import RunDir
from viceversa.engine.run_log import rewind
from viceversa.engine.trainer import Trainer
from viceversa.interop import read_original
from viceversa.methods import resolve
from viceversa.nets import GENERATORS
from viceversa.nets.weights import FORMAT, Card, load_generator, save_generator
from viceversa.registry import create

TRIES = int(os.environ.get("VICEVERSA_FUZZ", "60"))
hostile = settings(
    max_examples=TRIES, deadline=None, derandomize=TRIES < 1000, database=None, suppress_health_check=list(HealthCheck)
)
costly = settings(hostile, max_examples=TRIES if TRIES >= 1000 else 12)
FORBIDDEN = ["this", "__hello__"]
"""Modules that everybody has, and nobody imports."""
HUGE = [0, -1, 2**31, 2**63, 2**64, 10**30, float("inf"), float("nan"), "", "a", "\0", None, True, [], {}, [[]]]
HUGE += [f"{FORBIDDEN[0]}:d", f"{FORBIDDEN[1]}:x"]
JUNK = st.one_of(st.sampled_from(HUGE), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3))
GONE = object()
WORDS = st.sampled_from(
    [
        *("method", "generator", "data", "train", "name:", "cyclegan", "width", "size", "seed", "data.crop", "steps"),
        *(":-[]{}&*!|>?#%@`\"',\n\t=.~"),
        *("0x", "1e9", "no", ".inf", ".nan", "!!binary", "!!python/object:os.system", "<<:", "*a", "&a", "...", "---"),
        "9999999999",
    ]
)


@contextmanager
def refused_by(*kinds: type[Exception]) -> Iterator[None]:
    """Let only these errors pass, of one line, and of the ValueErrors only those that our own code raised."""
    raised: Exception | None = None
    modules = set(FORBIDDEN) - sys.modules.keys()
    try:
        yield
    except kinds as error:
        raised = error
    assert not modules & sys.modules.keys(), "a file made us import something"
    assert raised is None or str(raised).strip(), "an error without a word"
    assert raised is None or _is_for_the_user(raised), f"not ours: {raised!r}"


@st.composite
def mutations(draw: st.DrawFn, *seeds: bytes) -> bytes:
    """A sound file with some of it changed, cut off, doubled or replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        near_the_start = st.integers(0, min(len(data), 200))
        place = draw(st.one_of(near_the_start, st.integers(0, len(data))))
        kind = draw(st.sampled_from(["set", "set", "set", "cut", "double", "insert", "word"]))
        if kind == "set":
            new = draw(st.binary(min_size=1, max_size=4))
            data[place : place + len(new)] = new
        elif kind == "word":
            data[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", draw(st.integers(0, 2**32 - 1)))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, len(data) + 1))]
        elif kind == "double":
            data[place:place] = data[place : place + 40]
        else:
            data[place:place] = draw(st.binary(max_size=20))
    return bytes(data)


def edited(tree: Any, edits: list[tuple[list[int], Any]]) -> Any:
    """Return a nested value with some parts of it replaced, or gone; an edit is a way down into it and the new part."""
    root = [copy.deepcopy(tree)]
    for way, new in edits:
        here, key = root, 0
        for turn in way:
            inside = here[key]
            if not isinstance(inside, dict | list) or not inside:
                break
            here, key = inside, list(inside)[turn % len(inside)] if isinstance(inside, dict) else turn % len(inside)
        if new is GONE and here is not root:
            del here[key]
        elif here is not root:
            here[key] = copy.deepcopy(new)
    return root[0]


def edits(junk: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[list[int], Any]]]:
    """What is to be put into a nested value, and where."""
    ways = st.lists(st.integers(0, 30), min_size=1, max_size=5)
    return st.lists(st.tuples(ways, st.just(GONE) | junk), min_size=1, max_size=3)


def trees(tree: Any) -> st.SearchStrategy[Any]:
    """A nested value with some parts of it replaced by junk, or gone."""
    return edits(JUNK).map(lambda changes: edited(tree, changes))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(WORDS, max_size=12).map(" ".join),
    st.lists(WORDS, max_size=12).map("".join),
    mutations(
        b"train:\n  lr: 1e-4\n  length: 20 epochs\ngenerator: {name: resnet, blocks: 9}\n",
        b"method: this:d\ngenerator: {name: '__hello__:x'}\n",
    ).map(lambda data: data.decode("latin-1")),
)
KEYS = st.sampled_from(["train.length", "generator", "method.pool", "data.crop", "seed", "init.AtoB", "objective"])


@costly
@given(text=TEXTS, key=KEYS)
@example("a: &x {b: *x}", "generator.name")
@example("generator: &x {name: resnet, width: *x}", "seed")
@example("generator: {width: &x [*x]}", "seed")
@example("!<tag:yaml.org,2002:int> ''", "seed")
@example("seed: " + "9" * 5000, "seed")
@example("[" * 600, "data.crop")
@example(".:x", "generator")
@example("os:path", "generator")
@example("no_such_module:X", "objective")
@example("a\0b", "data.root")
@example("x" * 5000, "run")
def test_configurations(place: Path, text: str, key: str) -> None:
    path = place / "config.yaml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    tries: list[Callable[[], Config]] = [
        lambda: load_config(path),
        lambda: load_config(text),
        lambda: load_words([text]),
        lambda: load_words([f"data.{text}"]),
        lambda: load_config(None, [f"{key}={text}"]),
    ]
    for attempt in tries:
        with refused_by(ConfigError):
            config = resolve(attempt())
            assert validate(to_tree(config)) == config


@costly
@given(tree=trees(to_tree(Config())))
def test_trees_of_configurations(tree: Any) -> None:
    with refused_by(ConfigError):
        config = resolve(validate(tree))
        assert validate(to_tree(config)) == config


def encoded(write: Callable[[Any], object]) -> bytes:
    data = io.BytesIO()
    write(data)
    return data.getvalue()


def torch_file(state: Any) -> bytes:
    return encoded(lambda file: torch.save(state, file))


def pictures() -> list[bytes]:
    """Images in each format that is read, of 8 bits and deeper."""
    image, deep, colour = (
        Image.fromarray(noise(12, 10, 3)),
        noise(12, 10, kind=np.uint16),
        noise(6, 5, 3, kind=np.uint16),
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    writers: list[Callable[[Any], object]] = [
        lambda file: image.save(file, "PNG", exif=exif),
        lambda file: image.save(file, "JPEG", exif=exif),
        lambda file: image.convert("CMYK").save(file, "JPEG"),
        lambda file: image.save(file, "TIFF", compression="tiff_lzw"),
        *(lambda file, kind=kind: image.save(file, kind) for kind in ("WEBP", "BMP", "PPM")),
        lambda file: image.quantize(8).save(file, "GIF"),
        lambda file: image.quantize(8).save(file, "PNG", transparency=1),
        *(lambda file, kind=kind: Image.fromarray(deep).save(file, kind) for kind in ("PNG", "TIFF")),
        lambda file: np.save(file, np.zeros((4, 5, 3), np.float32)),
        lambda file: file.write(imagecodecs.png_encode(colour)),
        lambda file: tifffile.imwrite(file, colour, photometric="rgb", compression="zlib"),
        lambda file: tifffile.imwrite(file, colour.repeat(2, 2), photometric="minisblack", planarconfig="separate"),
        lambda file: tifffile.imwrite(file, np.float32(colour) / 65535, photometric="rgb", bigtiff=True),
        lambda file: tifffile.imwrite(file, colour, photometric="rgb", tile=(16, 16), compression="lzw"),
    ]
    return [encoded(write) for write in writers]


def weights_file(change: Callable[[Any], Any] = lambda card: card) -> bytes:
    """A generator's weights; `change` gives it another card."""
    network = {"name": "resnet", "width": 2, "blocks": 1}
    net = create(GENERATORS, "generator", network, 3, 3, size=32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "G.safetensors"
        save_generator(path, net, Card(network, 3, 3, 32, "AtoB", "running", {"step": 1}))
        data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    tensors = json.loads(data[8 : 8 + size])
    card = json.dumps(change(json.loads(tensors["__metadata__"][FORMAT])))
    text = json.dumps({**tensors, "__metadata__": {FORMAT: card}}).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def look(path: Path) -> None:
    image_size(path)
    assert read_image(path).pixels.ndim == 3


OWN = {"pools": {"p": torch.zeros(2, 3)}, "meter": {"a": torch.zeros(2)}}
CHECKPOINT = {"shared": {"step": 4, "method": {"w": torch.ones(5)}}, "own": OWN, "world_size": 1}
STATE = {"model.1.weight": torch.zeros(2, 3, 7, 7), "model.1.bias": torch.zeros(2)}
READERS: dict[str, tuple[list[bytes], tuple[type[Exception], ...], Callable[[Path], object]]] = {
    "step-00000004.pt": (
        [torch_file(CHECKPOINT)],
        (ValueError,),
        lambda path: Checkpoints(path.parent, DistInfo(), keep=1, every=1).read([4]),
    ),
    "G.safetensors": ([weights_file()], (ValueError,), load_generator),
    "net.pth": ([torch_file(STATE)], (ValueError, OSError), read_original),
    **{f"image{suffix}": (pictures(), (ImageError,), look) for suffix in (".png", ".tiff", ".npy")},
    "set.zip": (
        [pack({"a/1.png": b"abc" * 50}) for pack in PACKERS.values()],
        (ArchiveError,),
        lambda path: unpack(path, path.parent / "out", 10**6),
    ),
}


@pytest.mark.parametrize("name", READERS)
@hostile
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # torch's, of what is damaged
def test_files(name: str, data: st.DataObject) -> None:
    seeds, errors, read = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data.draw(mutations(*seeds)))
        with refused_by(*errors):
            read(path)


@hostile
@given(changes=edits(JUNK))
@example(changes=[([1, 1], [])])
def test_cards_of_weights(place: Path, changes: list[Any]) -> None:
    path = place / "G.safetensors"
    path.write_bytes(weights_file(lambda card: edited(card, changes)))
    with refused_by(ValueError):
        load_generator(path)


@pytest.fixture(scope="module")
def run(place: Path, worlds: Path) -> Path:
    """A training of two steps."""
    words = ["train.length=2 steps", "train.report=false", f"data.root={worlds}", f"run={place / 'run'}"]
    return engine.train(load_config("cyclegan", [*TINY, *words]))


@pytest.fixture(scope="module")
def trainer(run: Path) -> Trainer:
    config = load_config(run)
    return Trainer(open_loader(config), Learner(config, 1))


@pytest.fixture(scope="module")
def saved(trainer: Trainer) -> Callable[[], dict[str, Any]]:
    """What a checkpoint holds; as a function, since hypothesis prints arguments."""
    shared, own = trainer.checkpoints.read(trainer.checkpoints.steps())
    return lambda: {"shared": shared, "own": own}


TENSORS = [torch.zeros(()), torch.zeros(0), torch.full((3,), torch.nan), {"A": 1}, ["a"]]


@costly
@given(changes=edits(JUNK | st.sampled_from(TENSORS)))
def test_states(trainer: Trainer, saved: Callable[[], Any], changes: list[Any]) -> None:
    """What is in a checkpoint that is whole."""
    state = edited(saved(), changes)
    with refused_by(ValueError):
        trainer.state.restore(state.get("shared"), state.get("own"))
        trainer.learner.gradients()
        trainer.log.begin(trainer.learner.step, trainer.nan_guard.rollbacks)


ROWS = st.sampled_from(["a.png", "b.png", "../b.png", "/etc/passwd", "", "\0", "a" * 5000, "\x1b", "train", "ü.png"])
LINES = st.lists(ROWS, max_size=4).map(lambda cells: ",".join(cells))


@hostile
@given(
    data=st.one_of(
        st.lists(LINES, max_size=4).map(lambda lines: "\n".join(["a,b,split", *lines]).encode()),
        mutations(b"a,b,split\na.png,b.png,train\n", b'a,b\na.png,"b.png"\n'),
    )
)
def test_manifests(place: Path, data: bytes) -> None:
    for name in "ab":
        (place / f"{name}.png").touch()
    path = place / "list.csv"
    path.write_bytes(data)
    with refused_by(ConfigError):
        read_manifest(path, path.parent)


PIXELS = pictures()[0]
LOOSE = {"image": [PIXELS] * 2, "domain": ["A", "B"], "name": ["a", "b"], "split": ["train"] * 2}
PAIRS = {"a": [PIXELS] * 2, "b": [{"bytes": PIXELS, "path": "b.png"}] * 2}
SHARDS = [encoded(lambda file, rows=rows: pyarrow.parquet.write_table(pa.table(rows), file)) for rows in (LOOSE, PAIRS)]


@costly
@given(content=mutations(*SHARDS))
@pytest.mark.filterwarnings("ignore")  # those of datasets
def test_shards(place: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=place) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VICEVERSA_CACHE", str(Path(folder) / "cache"))
        (Path(folder) / "train.parquet").write_bytes(content)
        with refused_by(ConfigError):
            found = read_shards([Path(folder) / "train.parquet"])
            for item in [*found.train.a, *found.train.b] if found else []:
                with refused_by(ImageError):
                    str(item.name)
                    item.open()


LOSSES = {"step": 3, "epoch": 0, "lr": 1e-4, "losses": {"gan_G": 0.5, "cycle_X": None}}
SKIPPED = {"step": 4, "event": "skipped", "updates": ["G"], "wrong": ["gan_G"], "pictures": {"A": ["a.png"], "B": []}}
STARTED = {"event": "started", "step": 0, "time": "2026", "data": "unpaired: 1 A, 1 B", "processes": 1, "total": 9}
SPEED = {"event": "speed", "step": 3, "images_per_second": 2.5}
METRIC = {"step": 3, "direction": "AtoB", "weights": "ema", "metric": "psnr", "value": 9.0, "spread": None}
METRIC |= {"baseline": {"input": 18.0}, "protocol": {"pictures": 40}}
FOUND = {"step": 3, "since": 0, "finding": "inverted AtoB", "severity": "error", "message": "a", "remedy": "b"}
LOGS = {
    "log.jsonl": [LOSSES, {**LOSSES, "step": 6}, SKIPPED, LOSSES],
    "events.jsonl": [{**STARTED, "environment": {"torch": "2"}}, SPEED, {**SPEED, "step": 6}],
    "metrics.jsonl": [METRIC, {**METRIC, "step": 6}],
    "doctor.jsonl": [{**FOUND, "picture": "samples/latest.png"}],
}


@costly
@given(data=st.data())
def test_logs(run: Path, data: st.DataObject) -> None:
    for name, lines in LOGS.items():
        text = "\n".join(map(json.dumps, data.draw(trees(lines)))).encode()
        nested = st.integers(1, 100_000).map(lambda n: b"[" * n)
        (run / name).write_bytes(data.draw(st.just(text) | mutations(text) | nested))
    report.write(run)
    diagnose(run)
    update(RunDir(run), load_config(run), 2)
    rewind(run / "log.jsonl", 5)


NAMES = st.from_regex(r"(AtoB|BtoA)-\d{1,7}-(input|truth|translation|mask|back)\.png", fullmatch=True)
NAMES |= st.sampled_from(["AtoB-0-input.png", "AtoB-0-translation.png", "BtoA-0-truth.png"])


@costly
@given(data=st.data())
def test_samples(run: Path, data: st.DataObject) -> None:
    shutil.rmtree(run / "samples")
    for folder in ("inputs", "step-00000000", "step-00000003"):
        (run / "samples" / folder).mkdir(parents=True)
        for name in data.draw(st.lists(NAMES, max_size=4)):
            mode, size = data.draw(st.sampled_from(["RGB", "RGBA", "L", "P", "I;16"])), data.draw(st.integers(1, 40))
            image = Image.new(mode, (32, size))
            content = encoded(lambda file, image=image: image.save(file, "PNG"))
            (run / "samples" / folder / name).write_bytes(data.draw(st.just(content) | mutations(content)))
    report.write(run)
    diagnose(run)
