"""Loggers hold what the run's log holds, read back by their own readers; also when the run was killed and continued."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from viceversa import engine
from viceversa.engine.loggers import LOGGERS, Logger
from viceversa.engine.run_dir import checkpoint_files

Points = dict[str, list[tuple[int, float]]]
ON = ["train.evaluate_every=4 steps", "train.metrics=cycle", "train.sample_every=4 steps"]


def expected(run: str | Path) -> Points:
    """What log.jsonl says, by name."""
    found: Points = {}
    for line in (Path(run) / "log.jsonl").read_text("utf-8").splitlines():
        fact = json.loads(line)
        numbers = {f"loss/{name}": value for name, value in fact.get("losses", {}).items()}
        numbers |= {"lr": fact["lr"]} if "lr" in fact else {}
        for way, scores in fact.get("metrics", {}).items():
            numbers |= {f"{way}/{name}": value for name, value in scores.items()}
        for name, value in numbers.items():
            found.setdefault(name, []).append((fact["step"], pytest.approx(value, rel=1e-6)))
    return found


def in_tensorboard(run: Path) -> tuple[Points, list[int]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(run / "tensorboard"), {"images": 0})
    reader.Reload()
    tags = reader.Tags()
    points = {name: [(event.step, event.value) for event in reader.Scalars(name)] for name in tags["scalars"]}
    return points, [event.step for name in tags["images"] for event in reader.Images(name)]


def in_mlflow(run: Path) -> tuple[Points, list[int]]:
    from mlflow import MlflowClient

    client, number = MlflowClient(), json.loads((run / "loggers.json").read_text("utf-8"))["mlflow"]
    names = client.get_run(number).data.metrics
    points = {name: [(p.step, p.value) for p in client.get_metric_history(number, name)] for name in names}
    return points, [int(file.path[-12:-4]) for file in client.list_artifacts(number, "samples")]


def in_wandb(run: Path) -> tuple[Points, list[int]]:
    """Read its offline files: a LevelDB log of protobuf records. Of a step that comes twice, W&B takes the first."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # its own process may still be writing
    points: Points = {}
    sheets: list[int] = []
    sessions = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    assert len({path.name for path in sessions}) == 1, "one W&B run, continued"
    for path in sessions:
        for data in records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.WhichOneof("record_type") != "history":
                continue
            items = {
                "/".join([x.key, *x.nested_key][not x.key :]): json.loads(x.value_json) for x in record.history.item
            }
            sheets += [items["_step"]] * ("samples" in "".join(items))
            for name, value in items.items():
                if not name.startswith(("_", "samples")):
                    points.setdefault(name, []).append((items["_step"], value))
    return points, sheets


def records(data: bytes) -> list[bytes]:
    found, place, begun = [], 7, b""  # seven bytes of W&B's own
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        chunk = data[place + 7 : place + 7 + length]
        place += 7 + length
        begun = chunk if kind in (1, 2) else begun + chunk
        if kind in (1, 4):
            found.append(begun)
    return found


READERS = {"tensorboard": in_tensorboard, "mlflow": in_mlflow, "wandb": in_wandb}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its file store is old, and needs nothing
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")  # wandb's and mlflow's own
def test_a_logger_holds_what_the_log_holds_also_after_a_crash(tiny: Any, name: str) -> None:
    """The second process starts from step 4; the first had logged until 7."""
    options = [*ON, f"train.log_to={name}", "train.schedule=constant", "train.save_every=4 steps"]
    engine.train(tiny("cyclegan", *options, "train.length=7 steps"))
    config = tiny("cyclegan", *options, "train.length=12 steps")
    checkpoint_files(Path(config.run) / "checkpoints")[0].unlink()
    engine.train(config)
    points, sheets = READERS[name](Path(config.run))
    wanted = expected(config.run)
    assert points.keys() == {x.replace("[", ":").replace("]", "") if name == "mlflow" else x for x in wanted}
    assert len(points) == 11
    if name == "tensorboard":  # which drops the steps that are done again
        assert points == wanted
        assert sheets == [0, 4, 8, 12]
        return
    for key, right in wanted.items():  # these keep what they were told before the crash: step 7
        found = points[key.replace("[", ":").replace("]", "") if name == "mlflow" else key]
        steps = [step for step, _ in found]
        assert steps == sorted(set(steps)), "nothing twice"
        assert [point for point in found if point[0] != 7] == right
    assert sheets == [0, 4, 7, 8, 12]


class Broken(Logger):
    """A server that is down after its first picture."""

    def log(self, step: int, values: Any) -> None:
        raise ConnectionError("no route\nto host")


def test_a_logger_that_fails_does_not_end_the_training(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(LOGGERS, "wandb", Broken)
    config = tiny("cyclegan", "train.log_to=[wandb, tensorboard]")
    engine.train(config)
    assert caplog.messages == ["wandb: no longer logged to (no route to host)"]
    assert in_tensorboard(Path(config.run))[0] == expected(config.run)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("tensorboard", "torch.utils.tensorboard", "log"), ("wandb", "wandb", "wandb"), ("mlflow", "mlflow", "mlflow")],
)
def test_a_missing_package_names_the_extra(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf'pip install "viceversa\[{extra}\]"'):
        engine.train(tiny("cyclegan", f"train.log_to={name}"))
