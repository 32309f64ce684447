"""A run's folder: who may train in it, with which values, on which pictures; and forks."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_equal_runs, final_state

from viceversa import engine, files
from viceversa.config import ConfigError, load_config
from viceversa.engine.run_dir import checkpoint_files

CONSTANT = ["train.schedule=constant", "train.decay=0 steps"]


def test_two_processes_do_not_train_in_one_folder_unless_one_was_killed(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("pix2pix")
    Path(config.run).mkdir()
    path = str(Path(config.run) / ".lock")
    code = f"import filelock; lock = filelock.FileLock({path!r}); lock.acquire(); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as other:
        other.stdout.readline()
        monkeypatch.setattr(files, "PATIENCE", 0)
        with pytest.raises(ConfigError, match="another process is training in it"):
            engine.train(config)
        other.kill()
    engine.train(config)


def test_a_finished_run_stays_as_it_is_and_what_does_not_change_a_step_may_change(tiny: Any) -> None:
    config = tiny("pix2pix", *CONSTANT, "train.length=2 steps")
    for _ in range(2):
        engine.train(config)
        assert final_state(config.run)["step"] == 2
    free = ["train.log_every=1 step", "train.save_every=3 steps", "train.sample_every=2 steps", "data.workers=1"]
    engine.train(tiny("pix2pix", *CONSTANT, "train.length=4 steps", *free, "train.keep=1", "train.max_skips=2"))
    assert final_state(tiny("pix2pix").run)["step"] == 4


def test_a_refusal_names_the_keys_and_the_way_out(tiny: Any) -> None:
    config = tiny("cyclegan", "train.length=1 step", "train.decay=0 steps")
    engine.train(config)
    with pytest.raises(ConfigError) as refusal:
        engine.train(tiny("cyclegan", "train.length=1 step", "train.decay=0 steps", "train.lr=0.001", "seed=3"))
    assert "(seed 0 -> 3, train.lr 0.0002 -> 0.001)" in str(refusal.value)
    assert f"viceversa train {config.run} seed=3 train.lr=0.001 --fork NEW_RUN" in str(refusal.value)
    with pytest.raises(ConfigError, match=r"generator.width \d+ -> 3\); choose another folder") as refusal:
        engine.train(tiny("cyclegan", "train.length=1 step", "train.decay=0 steps", "generator.width=3"))
    assert "--fork" not in str(refusal.value), "a fork keeps its networks"


@pytest.fixture
def moving(worlds: Path, tmp_path: Path) -> Path:
    """A data set of one's own to change."""
    return Path(shutil.copytree(worlds, tmp_path / "data"))


def test_other_pictures_are_noticed(tiny: Any, moving: Path) -> None:
    words = [*CONSTANT, f"data.root={moving}"]
    engine.train(tiny("cyclegan", *words, "train.length=2 steps"))
    moved = moving.rename(moving.with_name("elsewhere"))
    words[-1] = f"data.root={moved}"
    engine.train(tiny("cyclegan", *words, "train.length=3 steps"))  # the same ones, elsewhere
    picture = next((moved / "trainB").iterdir())
    shutil.copy(picture, picture.with_name("zzz.png"))
    longer = [*words, "train.length=4 steps"]
    with pytest.raises(ConfigError, match=r"6 A, 6 B then, 6 A, 7 B now.*data\.may_change=true"):
        engine.train(tiny("cyclegan", *longer))
    picture.rename(picture.with_name("yyy.png"))
    picture.with_name("zzz.png").unlink()
    with pytest.raises(ConfigError, match="under other names"):
        engine.train(tiny("cyclegan", *longer))
    engine.train(tiny("cyclegan", *longer, "data.may_change=true"))
    assert final_state(tiny("cyclegan").run)["step"] == 4
    engine.train(tiny("cyclegan", *words, "train.length=5 steps"))  # these are its pictures now


def test_a_fork_goes_on_from_the_old_run_and_leaves_it_alone(tiny: Any, tmp_path: Path) -> None:
    old = tiny("cyclegan", *CONSTANT, "method.pool=2", run="old")
    engine.train(old)
    before = {path: path.read_bytes() for path in Path(old.run).rglob("*") if path.is_file() and path.name != ".lock"}
    longer = [*CONSTANT, "method.pool=2", "train.length=12 steps"]
    assert engine.train(tiny("cyclegan", *longer, run="old"), tmp_path / "same") == tmp_path / "same"
    faster = tiny("cyclegan", *longer, "train.lr=0.01", "train.betas=[0.9,0.99]", run="old")
    for _ in range(2):  # the second time it is there and continues
        engine.train(faster, tmp_path / "faster")
    assert {path: path.read_bytes() for path in before} == before
    assert load_config(tmp_path / "faster").train.lr == 0.01
    group = final_state(tmp_path / "faster")["optimizers"]["G"]["param_groups"][0]
    assert (group["lr"], tuple(group["betas"])) == (0.01, (0.9, 0.99))
    engine.train(tiny("cyclegan", *longer, run="old"))
    assert_equal_runs(old.run, tmp_path / "same")
    one, two = (final_state(run)["method"] for run in (old.run, tmp_path / "faster"))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_a_fork_may_change_optimiser_pictures_and_batch(tiny: Any, moving: Path, tmp_path: Path) -> None:
    engine.train(tiny("cyclegan", *CONSTANT, run="old"))
    next((moving / "trainA").iterdir()).unlink()
    words = [
        "train.optimizer=sgd",
        f"data.root={moving}",
        "train.batch=2",
        "train.precision=fp16",
        "train.length=10 steps",
    ]
    engine.train(tiny("cyclegan", *CONSTANT, *words, run="old"), tmp_path / "new")
    assert final_state(tmp_path / "new")["step"] == 10


def test_what_cannot_be_forked_or_continued_is_refused(tiny: Any, tmp_path: Path) -> None:
    config = tiny("pix2pix", *CONSTANT, run="old")
    with pytest.raises(ConfigError, match="no run that could be forked"):
        engine.train(config, tmp_path / "new")
    engine.train(config)
    with pytest.raises(ConfigError, match="is the run itself"):
        engine.train(config, Path(config.run))
    with pytest.raises(ConfigError, match=r"is of other networks, and a fork keeps them; train anew: run=FOLDER"):
        engine.train(tiny("pix2pix", *CONSTANT, "generator.width=3", run="old"), tmp_path / "new")
    assert not (tmp_path / "new").exists(), "it left something behind"
    (tmp_path / "new" / "checkpoints").mkdir(parents=True)
    (tmp_path / "new" / "checkpoints" / "mine").touch()
    with pytest.raises(ConfigError, match="is of other networks"):
        engine.train(tiny("pix2pix", *CONSTANT, "generator.width=3", run="old"), tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").rglob("*") if path.name != ".lock"] == ["checkpoints", "mine"]
    for path in checkpoint_files(Path(config.run) / "checkpoints"):
        path.write_bytes(b"")
    for fork in (None, tmp_path / "newer"):  # nor is it started anew
        with pytest.raises(ValueError, match="no checkpoint can be read"):
            engine.train(config, fork)
