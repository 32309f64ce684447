"""The command line: in this process where that will do, since a real one costs seconds."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from safetensors.numpy import load_file

import viceversa as package
from support import TINY, Command, environment, refusal, refusals
from viceversa.cli import one_line
from viceversa.config import ConfigError, load_config, presets
from viceversa.data import water2wine

ORIGINAL = Path(__file__).parent / "golden" / "generator_resnet_9blocks_instance_ngf8.pth"

TRAIN = ["train", "cyclegan", "data.root=data", *TINY, "train.length=4 steps", "generator.mask=true"]
COMMANDS = ["train", "translate", "evaluate", "demo", "import", "report", "doctor", "compare", "grid", "info"]
COMMANDS += ["config", "presets", "data"]


def refused(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the one line on stderr of a command that ended with `status`."""
    assert result.returncode == status, result.stderr
    return refusal(result.stdout, result.stderr)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, viceversa: Command) -> Path:
    """A folder with `data`, and `run` trained on it."""
    lab = tmp_path_factory.mktemp("lab")
    water2wine.make(lab / "data", size=32, count=8, test=2)
    trained = viceversa(*TRAIN, "run=run", cwd=lab)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert trained.stdout.splitlines()[-1] == "run: trained; try: viceversa translate run PICTURES OUT"
    return lab


@pytest.fixture
def command(command: Command, lab: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in the lab."""
    monkeypatch.chdir(lab)
    return command


# --- help, and mistakes that do not wait for torch


def test_help_version_and_no_arguments(command: Command) -> None:
    helped = command("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert command("-h").stdout == command().stdout == helped.stdout
    assert set(COMMANDS) <= set(re.findall(r"^  ([a-z]+) ", helped.stdout.partition("Commands:")[2], re.M))


@pytest.mark.parametrize("words", [*COMMANDS, "data make"])
def test_help_of_a_command_is_short_and_plain(words: str, command: Command) -> None:
    helped = command(*words.split(), "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("Usage: ")
    assert max(map(len, helped.stdout.splitlines())) <= 80
    for noise in ("<bool>", "<str>", "<path>", "None", "\\b", "\b", "╭"):
        assert noise not in helped.stdout


def test_the_installed_command_is_the_module(viceversa: Command) -> None:
    script = Path(sys.executable).parent / "viceversa"
    assert script.exists(), "install the project: pip install -e ."
    said = subprocess.run([script, "--version"], capture_output=True, text=True, env=environment())
    assert said.stdout == viceversa("--version").stdout == f"viceversa {package.__version__}\n"


MISTAKES = [
    ("trian", 2, "no such command 'trian'; did you mean 'train'?"),
    ("train --fast", 2, "no such option: --fast; see "),
    ("info", 2, "missing argument 'RUN|WEIGHTS'; see "),
    ("data make water2wine x --size big", 2, "invalid value for '--size': "),
    ("train cyclgan", 2, "cyclgan: neither a preset nor a YAML file; did you mean cyclegan?"),
    ("train runs/none", 2, "runs/none: "),
    ("train runs/lr=0.1", 2, "runs/lr=0.1: "),
    ("train trian.lr=1", 2, "trian: no such key; did you mean train?"),
    ("train", 2, "no pictures given: set data.root=FOLDER"),
    ("train data.root=Here", 1, "Here: no such folder; did you mean here?"),
    ("train data.a=here data.b=there", 1, "there: no such folder"),
    ("train data.root=here init.AtoB=G.safetensors", 1, "G.safetensors: no such file"),
    ("train data.root=here generator.blokcs=4", 2, "generator.blokcs: resnet has no such option; did you mean blocks?"),
    ("train pix2pix data.root=here objective=hinges", 2, "objective.name: there is no objective 'hinges'; did you"),
    ("train data.root=here run=none --fork new", 2, "none: no run that could be forked"),
    ("train data.root=here run=here", 2, "here: another process is training in it"),
    ("demo out lr=1", 2, "lr: no such key; did you mean train.lr?"),
    ("translate none in out", 1, "none: no such run or weights file"),
    ("data check data.root=none", 1, "none: no such folder"),
    ("data cache none out", 1, "none: no such folder"),
    ("evaluate none", 1, "none: no such run or weights file"),
    ("report here", 1, "here/config.yaml: no such file"),
    ("info none", 1, "none: no such run or weights file"),
    ("import a.pth b.safetensors --direction AtoC", 2, "invalid value for '--direction': "),
    ("presets pix2pic", 2, "pix2pic: there is no such preset; did you mean pix2pix?"),
]


def test_cheap_mistakes_are_one_line_and_do_not_wait_for_torch(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with FileLock(tmp_path / "here" / ".lock"):
        said = refusals([words for words, _, _ in MISTAKES], tmp_path)
    for (words, status, message), (found, line) in zip(MISTAKES, said, strict=True):
        assert (found, line[: len(message)]) == (status, message), words
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_evaluating_in_several_processes_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert refused(command("evaluate", "run"), 2).startswith("invalid value: evaluating is the work of one process")
    assert not Path("run", "metrics.jsonl").exists()


# --- what is a mistake, and what is a bug


def test_only_our_own_messages_are_shortened(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def ends(error: Exception, module: str) -> str:
        with pytest.raises(SystemExit) as stop, one_line():
            exec("raise error", {"__name__": module, "error": error})
        return f"{stop.value.code} {capsys.readouterr().err}"

    assert ends(ConfigError("seed: no"), "viceversa.config") == "2 viceversa: seed: no\n"
    assert ends(ValueError("two\n lines"), "viceversa.translate") == "1 viceversa: two lines\n"
    assert ends(OSError(28, "No space left", "x.pt"), "torch") == "1 viceversa: x.pt: no space left\n"
    for error, module in (
        (ValueError("internal"), "torch.nn"),
        (ValueError("internal"), "viceversa_of_somebody_else"),
        (RuntimeError("internal"), "viceversa.translate"),
    ):
        with pytest.raises(type(error), match="internal"):
            ends(error, module)
    monkeypatch.setenv("VICEVERSA_DEBUG", "1")
    with pytest.raises(ConfigError, match="seed: no"):
        ends(ConfigError("seed: no"), "viceversa.config")


def test_ctrl_c_is_answered(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("viceversa.config.presets", interrupted)
    said = command("presets")
    assert (said.returncode, said.stderr) == (130, "viceversa: interrupted\n")


# --- output that nobody reads, and names that are no text


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, in which V is viceversa."""
    command = f'V() {{ {shlex.quote(sys.executable)} -m viceversa "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", command], capture_output=True, cwd=cwd, env=environment(), timeout=600)


@pytest.mark.parametrize(
    ("line", "status", "stderr"),
    [
        ("V presets | true; exit ${PIPESTATUS[0]}", 0, b""),
        ("V presets >&-", 0, b""),
        ("V presets none 2>/dev/full", 2, b""),
        ("V info nowhere$'\\xe9'", 1, b"viceversa: nowhere\\udce9: no such run or weights file\n"),
    ],
)
def test_a_reader_may_go_away(line: str, status: int, stderr: bytes, tmp_path: Path) -> None:
    said = shell(line, tmp_path)
    assert (said.returncode, said.stderr) == (status, stderr)


def test_work_is_done_whoever_reads(lab: Path) -> None:
    words = shlex.join([*TRAIN, "run=unread", "train.log_every=1 step"])
    said = shell(f"V {words} >/dev/full 2>&-", lab)
    assert (said.returncode, said.stderr) == (0, b"")
    assert (lab / "unread" / "weights" / "AtoB.safetensors").stat().st_size


def test_a_training_outlives_its_terminal(lab: Path) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "viceversa", *TRAIN, "run=orphan", "train.length=20 steps"]
    options = {"cwd": lab, "env": environment(), "stdout": theirs, "stderr": theirs, "start_new_session": True}
    with subprocess.Popen([*words, "train.log_every=1 step"], **options) as process:
        os.close(theirs)
        while not (lab / "orphan" / "log.jsonl").exists():
            assert process.poll() is None
            os.read(ours, 100)
        os.close(ours)
        assert process.wait(400) == 0
    assert (lab / "orphan" / "weights" / "AtoB.safetensors").exists()


# --- presets, config, train, info


def test_presets(command: Command) -> None:
    listed = command("presets").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(presets())
    assert command("presets", "cyclegan").stdout == presets()["cyclegan"].read_text("utf-8")


def test_config_prints_what_can_be_loaded(command: Command, tmp_path: Path) -> None:
    said = command("config", "pix2pix", "generator.width=8")
    assert (said.returncode, said.stderr) == (0, "")
    (tmp_path / "a.yaml").write_text(said.stdout)
    config = load_config(tmp_path / "a.yaml")
    assert (config.generator["width"], config.generator["depth"], config.method["l1"]) == (8, 8, 100)
    assert "  # Weight of the L1 distance between G(x) and y, lambda in the paper.\n  l1: 100" in said.stdout


def test_train_leaves_a_run_and_continues_it(command: Command, lab: Path) -> None:
    run = lab / "run"
    assert load_config(run).run == "run"
    told = command("info", "run").stdout
    assert all(fact in told for fact in ("cyclegan", "step 4", "patches of 34 x 34 px"))
    assert "BtoA" in command("info", "run/weights/BtoA.safetensors").stdout.splitlines()[0]
    before = load_file(run / "weights" / "AtoB.safetensors")
    assert command(*TRAIN, "run=run").returncode == 0
    after = load_file(run / "weights" / "AtoB.safetensors")
    assert all((after[name] == before[name]).all() for name in before | after)
    changed = command("train", "run", "train.lr=1")
    assert changed.returncode == 2
    assert "train.lr 0.0002 -> 1.0" in changed.stderr


# --- translate, import and what can be done with it


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_translate_a_folder_with_a_broken_file(command: Command, lab: Path) -> None:
    photos = lab / "photos"
    (photos / "deep").mkdir(parents=True)
    for name, size in (("a.png", (30, 20)), ("deep/b.jpg", (65, 41))):
        Image.fromarray(np.full((*size[::-1], 3), 99, np.uint8)).save(photos / name)
    (photos / "bad.png").write_text("<html>")
    said = command("translate", "run", "photos", "out", "--save-mask", "--direction", "BtoA")
    assert said.returncode == 1
    assert said.stderr.startswith("viceversa: photos/bad.png: ")
    made = {str(path.relative_to(lab / "out")): size_of(path) for path in (lab / "out").rglob("*.*")}
    small, large = (30, 20), (65, 41)
    assert made == {"a.png": small, "a.mask.png": small, "deep/b.jpg": large, "deep/b.mask.png": large}


def test_what_was_imported_translates(command: Command, lab: Path) -> None:
    assert refused(command("import", "none.pth", "theirs.safetensors"), 1).startswith("none.pth: ")
    said = command("import", ORIGINAL, "theirs.safetensors", "--direction", "BtoA")
    assert (said.returncode, said.stderr) == (0, "")
    assert "blocks 9" in command("info", "theirs.safetensors").stdout
    assert command("translate", "theirs.safetensors", "data/testB", "theirs").returncode == 0
    assert len(list((lab / "theirs").iterdir())) == 2


def test_a_run_is_reported_and_shown_in_a_figure(command: Command, lab: Path) -> None:
    assert command("report", "run").returncode == 0
    assert (lab / "run" / "report.html").stat().st_size
    drawn = command("grid", "run", "--rows", 2, "--columns", "input,AtoB,mask", "--out", "figure.png")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert size_of(lab / "figure.png")
    assert "no such column" in refused(command("grid", "run", "--columns", "x", "--out", "x.png"), 1)
