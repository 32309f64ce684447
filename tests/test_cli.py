"""The command line through real processes. Each costs seconds, so they are few and share one small run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import viceversa as package
from support import Command, environment
from viceversa.cli import main
from viceversa.config import ConfigError, load_config, presets
from viceversa.errors import one_line
from viceversa.nets.build import build_generator
from viceversa.nets.weights import Card, save_generator

GOLDEN = Path(__file__).parent / "golden"
ORIGINAL = GOLDEN / "generator_resnet_9blocks_instance_ngf8.pth"

TINY = [
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2"),
    *("data.load=32", "data.crop=32", "data.workers=1", "train.decay=2 steps"),
]
COMMANDS = [
    "train",
    "translate",
    "demo",
    "import",
    "report",
    "compare",
    "grid",
    "doctor",
    "info",
    "config",
    "presets",
    "data",
]  # as --help lists them
FOUR = [*TINY, "train.length=4 steps"]


def refused(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the one line on stderr of a command that ended with `status`."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("viceversa: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("viceversa: ").rstrip("\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, viceversa: Command) -> Path:
    """A folder with `data`, and `run` trained on it; what the commands said is in `made` and `trained`."""
    lab = tmp_path_factory.mktemp("lab")
    made = viceversa("data", "make", "water2wine", "data", "--size", 32, "--count", 8, "--test", 2, cwd=lab)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "data: water2wine, 8 + 8 to train, 2 + 2 to test; paired_test=true knows the answer\n"
    trained = viceversa("train", "cyclegan", "data.root=data", "run=run", *FOUR, "generator.mask=true", cwd=lab)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    assert trained.stdout.splitlines()[-1] == "run: trained; try: viceversa translate run PICTURES OUT"
    return lab


# --- without torch: quick


def test_help_version_and_no_arguments(viceversa: Command) -> None:
    helped = viceversa("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert viceversa("-h").stdout == viceversa().stdout == helped.stdout
    for command in COMMANDS:
        assert f"\n  {command} " in helped.stdout
    assert viceversa("--version").stdout == f"viceversa {package.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [*COMMANDS, "presets copy", "data make"],
)
def test_help_of_a_command_is_short_and_plain(words: str, viceversa: Command) -> None:
    helped = viceversa(*words.split(), "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("Usage: ")
    assert max(map(len, helped.stdout.splitlines())) <= 80
    for noise in ("<bool>", "<str>", "<path>", "--no-", "None", "\\b", "\b", "╭", "..."):
        assert noise not in re.sub(r"(\[ARGS\]|\[KEY=VALUE\]|{INPUT}|{RUN\|OUT\.html})\.\.\.", "", helped.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trian", "no such command 'trian'; did you mean 'train'?"),
        ("train --fast", "no such option: --fast; see "),
        ("info", "missing argument 'RUN|WEIGHTS'; see "),
        ("presets", "missing command; see "),
        ("data make water2wine x --size big", "invalid value for '--size': "),
        ("train cyclgan", "cyclgan: neither a preset nor a YAML file; did you mean cyclegan?"),
        ("train trian.lr=1", "trian: no such key; did you mean train?"),
        ("translate run in out --samples 0", "invalid value for '--samples': "),
        ("import a.pth b.safetensors --direction AtoC", "invalid value for '--direction': "),
        ("presets show pix2pic", "pix2pic: there is no such preset; did you mean pix2pix?"),
    ],
)
def test_a_wrong_command_is_one_line_and_status_2(words: str, message: str, viceversa: Command) -> None:
    assert refused(viceversa(*words.split()), 2).startswith(message)


def test_presets(viceversa: Command, tmp_path: Path) -> None:
    listed = viceversa("presets", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(presets())
    assert viceversa("presets", "show", "cyclegan").stdout == presets()["cyclegan"].read_text("utf-8")
    copied = viceversa("presets", "copy", "cyclegan", "my.yaml", cwd=tmp_path)
    assert copied.stdout == "my.yaml: written; try: viceversa train my.yaml data.root=FOLDER\n"
    assert load_config(tmp_path / "my.yaml") == load_config("cyclegan")
    assert "my.yaml: exists already" in refused(viceversa("presets", "copy", "cyclegan", "my.yaml", cwd=tmp_path), 1)


@pytest.mark.parametrize("words", ["train ", "config ", "presets show ", "presets copy "])
def test_the_shell_completes_presets_without_torch(words: str, viceversa: Command) -> None:
    line = f"viceversa {words}pix"
    env = {"_VICEVERSA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    code = "import sys; sys.argv[0] = 'viceversa'; sys.modules['torch'] = None; from viceversa.cli import main; main()"
    assert viceversa(python=("-c", code), **env).stdout.split() == ["pix2pix"]


def test_the_installed_command_is_the_module(viceversa: Command) -> None:
    script = Path(sys.executable).parent / "viceversa"
    assert script.exists(), "install the project: pip install -e ."
    said = subprocess.run([script, "presets", "list"], capture_output=True, text=True, env=environment())
    assert said.stdout == viceversa("presets", "list").stdout


# --- what is a mistake, and what is a bug


def test_only_our_own_messages_are_shortened(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def ends(error: Exception, module: str) -> str:
        with pytest.raises(SystemExit) as stop, one_line():
            exec("raise error", {"__name__": module, "error": error})
        return f"{stop.value.code} {capsys.readouterr().err}"

    assert ends(ConfigError("seed: no"), "viceversa.config") == "2 viceversa: seed: no\n"
    assert ends(ValueError("two\n lines"), "viceversa.translate") == "1 viceversa: two lines\n"
    assert ends(OSError(28, "No space left", "x.pt"), "torch") == "1 viceversa: x.pt: no space left\n"
    with pytest.raises(ValueError, match="internal"):
        ends(ValueError("internal"), "torch.nn")
    with pytest.raises(ValueError, match="internal"):
        ends(ValueError("internal"), "viceversa_of_somebody_else")
    with pytest.raises(RuntimeError, match="bug"):
        ends(RuntimeError("bug"), "viceversa.translate")
    monkeypatch.setenv("VICEVERSA_DEBUG", "1")
    with pytest.raises(ConfigError, match="seed: no"):
        ends(ConfigError("seed: no"), "viceversa.config")


def test_a_closed_pipe_is_no_error(viceversa: Command) -> None:
    command = f"'{sys.executable}' -m viceversa presets list | true"
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment())
    assert said.stderr == ""


# --- train, info, config


def test_config_prints_what_can_be_loaded(viceversa: Command, tmp_path: Path) -> None:
    said = viceversa("config", "pix2pix", "generator.width=8")
    assert (said.returncode, said.stderr) == (0, "")
    (tmp_path / "a.yaml").write_text(said.stdout)
    config = load_config(tmp_path / "a.yaml")
    assert (config.generator["width"], config.generator["depth"], config.method["l1"]) == (8, 8, 100)
    assert "  # Weight of the L1 distance between G(x) and y, lambda in the paper.\n  l1: 100" in said.stdout


def test_missing_data_is_one_line(viceversa: Command, lab: Path) -> None:
    said = viceversa("train", "cyclegan", "data.root=dat", *FOUR, cwd=lab)
    assert refused(said, said.returncode).startswith("dat: no such folder; did you mean data?")
    assert said.returncode in (1, 2)
    assert not (lab / "runs").exists(), "nothing is left behind"


def test_train_leaves_a_run(lab: Path) -> None:
    run = lab / "run"
    assert load_config(run).run == "run"
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()] == [4]
    assert {p.name for p in (run / "weights").iterdir()} == {
        f"{name}.safetensors" for name in ("AtoB", "BtoA", "AtoB.raw", "BtoA.raw")
    }


def test_the_same_command_again_says_that_it_is_done(viceversa: Command, lab: Path) -> None:
    before = load_file(lab / "run" / "weights" / "AtoB.safetensors")
    again = viceversa("train", "cyclegan", "data.root=data", "run=run", *FOUR, "generator.mask=true", cwd=lab)
    assert again.returncode == 0, again.stderr
    assert "run: has all its 4 steps; a longer train.length goes on" in again.stdout
    after = load_file(lab / "run" / "weights" / "AtoB.safetensors")
    assert all((after[name] == before[name]).all() for name in before | after)
    changed = viceversa("train", "run", "train.lr=1", cwd=lab)
    told = "run: was trained with other values (train.lr 0.0002 -> 1.0); choose another folder"
    assert refused_last(changed).startswith(told)


def refused_last(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2
    return result.stderr.removeprefix("viceversa: ")


def test_info(viceversa: Command, lab: Path) -> None:
    run = viceversa("info", "run", cwd=lab).stdout
    assert "cyclegan" in run
    assert "step 4" in run
    assert "patches of 34 x 34 px" in run
    weights = viceversa("info", "run/weights/BtoA.safetensors", cwd=lab).stdout
    assert "BtoA" in weights.splitlines()[0]


def test_ctrl_c_is_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("viceversa.config.preset_titles", interrupted)
    monkeypatch.setattr(sys, "argv", ["viceversa", "presets", "list"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (130, "viceversa: interrupted\n")


def test_ctrl_c_saves_and_continues(viceversa: Command, lab: Path) -> None:
    words = ["train", "cyclegan", "data.root=data", "run=long", *TINY, "train.length=100000 steps", "data.workers=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "viceversa", *words, "train.log_every=5 steps", "train.save_every=90000 steps"],
        cwd=lab,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the signal reaches the data workers too, as it does from a keyboard
    )
    until = time.monotonic() + 400
    while not (lab / "long" / "log.jsonl").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 130, err
    assert err == "viceversa: long: saved; the same command again continues\n"
    step = max(int(path.stem.removeprefix("step-")) for path in (lab / "long" / "checkpoints").glob("*.pt"))
    assert step >= 5
    again = viceversa(*words[:-2], f"train.length={step + 1} steps", cwd=lab)
    assert again.returncode == 0, again.stderr
    assert f"long: continues after step {step} of {step + 1}" in again.stdout


# --- translate


def shown(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def test_translate_a_folder_with_a_broken_file(viceversa: Command, lab: Path) -> None:
    photos = lab / "photos"
    (photos / "deep").mkdir(parents=True)
    for name, size in (("a.png", (30, 20)), ("deep/b.jpg", (65, 41))):
        Image.fromarray(np.full((*size[::-1], 3), 99, np.uint8)).save(photos / name)
    (photos / "bad.png").write_text("<html>")
    said = viceversa("translate", "run", "photos", "out", "--save-mask", "--direction", "BtoA", cwd=lab)
    assert said.returncode == 1
    assert said.stderr == "viceversa: photos/bad.png: a web page or other text, not a picture\n"
    assert said.stdout == "out: 2 translated BtoA as 4 files, 1 failed\n"
    assert {str(path.relative_to(lab / "out")): shown(path).size for path in (lab / "out").rglob("*.*")} == {
        **{"a.png": (30, 20), "a.mask.png": (30, 20)},
        **{"deep/b.jpg": (65, 41), "deep/b.mask.png": (65, 41)},
    }
    (photos / "bad.png").unlink()
    again = viceversa("translate", "run", "photos", "out", "--save-mask", "--direction", "BtoA", cwd=lab)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "out: 0 translated BtoA\n2 there already; --overwrite replaces them\n"


def test_translate_a_file_and_a_glob_by_a_weights_file(viceversa: Command, lab: Path) -> None:
    weights = "run/weights/AtoB.safetensors"
    single = viceversa("translate", weights, "data/testA/00000.png", "one.jpg", cwd=lab)
    assert (single.returncode, single.stdout, single.stderr) == (0, "one.jpg: 1 translated AtoB\n", "")
    assert (lab / "one.jpg").read_bytes().startswith(b"\xff\xd8"), "a JPEG, as its name says"
    assert shown(lab / "one.jpg").size == (32, 32)
    globbed = viceversa("translate", weights, "data/test*/*1.png", "globbed", "--overwrite", cwd=lab)
    assert globbed.stdout == "globbed: 2 translated AtoB\n"
    assert {str(p.relative_to(lab / "globbed")) for p in (lab / "globbed").rglob("*.png")} == {
        "testA/00001.png",
        "testB/00001.png",
    }
    wrong = viceversa("translate", weights, "data", "x", "--direction", "BtoA", cwd=lab)
    assert refused(wrong, 1) == f"{weights}: translates AtoB, not BtoA"


def test_translate_at_another_size_and_in_several_ways(viceversa: Command, lab: Path) -> None:
    spec = {"name": "resnet_vae", "width": 4, "blocks": 0, "latent": 4, "norm": "instance"}
    net = build_generator(spec, 3, 3, size=32)
    save_generator(lab / "vae.safetensors", net, Card(spec, 3, 3, 32, "AtoB", "running", {}))
    picture, other = "data/testA/00000.png", "data/testA/00001.png"
    sampled = viceversa("translate", "vae.safetensors", picture, "many", "--samples", 2, "--size", 40, cwd=lab)
    assert (sampled.returncode, sampled.stdout, sampled.stderr) == (0, "many: 1 translated AtoB as 2 files\n", "")
    assert {path.name: shown(path).size for path in (lab / "many").iterdir()} == {
        **{"00000.1.png": (40, 40), "00000.2.png": (40, 40)},
    }
    words = ["translate", "vae.safetensors", picture]
    reseeded = viceversa(*words, "seeded", "--samples", 2, "--size", 40, "--seed", 1, cwd=lab)
    assert reseeded.returncode == 0
    pairs = [(path.read_bytes(), (lab / "seeded" / path.name).read_bytes()) for path in (lab / "many").iterdir()]
    assert all(one != two for one, two in pairs)
    walked = viceversa(*words, "walk", "--interpolate", other, cwd=lab)
    assert walked.returncode == 0, walked.stderr
    assert len(list((lab / "walk").iterdir())) == 8
    plain = viceversa("translate", "run", picture, "none", "--samples", 2, cwd=lab)
    assert refused(plain, 1).startswith("the generator resnet is not variational")
    assert refused(viceversa(*words, "none", "--seed", 1, cwd=lab), 1).startswith("--seed goes with --samples")
    assert not (lab / "none").exists()


# --- import, and what can be done with it


def test_import_translate_info_and_train_on(viceversa: Command, lab: Path) -> None:
    said = viceversa("import", ORIGINAL, "theirs.safetensors", "--direction", "BtoA", cwd=lab)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "theirs.safetensors: resnet, 3 to 3 channels, BtoA\n"
    assert "blocks 9" in viceversa("info", "theirs.safetensors", cwd=lab).stdout
    translated = viceversa("translate", "theirs.safetensors", "data/testB", "theirs", cwd=lab)
    assert translated.stdout == "theirs: 2 translated BtoA\n"
    same = [word for word in TINY if not word.startswith("generator")] + ["generator.width=8", "generator.blocks=9"]
    words = ["train", "cyclegan", "data.root=data", "init.BtoA=theirs.safetensors", "train.length=2 steps"]
    trained = viceversa(*words, *same, "run=tuned", "train.lr=1e-9", cwd=lab)
    assert trained.returncode == 0, trained.stderr
    before = load_file(lab / "theirs.safetensors")
    after = load_file(lab / "tuned" / "weights" / "BtoA.raw.safetensors")
    assert all(np.allclose(before[name], after[name], rtol=0, atol=1e-7) for name in before | after)
    other = viceversa(*words, *same, "generator.blocks=2", "run=other", cwd=lab)
    assert refused(other, 2) == "init.BtoA=theirs.safetensors: is of another generator; set generator.blocks=9"
    assert not (lab / "other").exists()


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (ORIGINAL, "x.pth", "x.pth: weights files end in .safetensors"),
        (ORIGINAL, "there.safetensors", "there.safetensors: exists already; --overwrite replaces it"),
        (GOLDEN / "discriminator_basic_instance_ndf8.pth", "x.safetensors", "{}: is a discriminator; only generators"),
        ("garbage.pth", "x.safetensors", "{}: not a file of weights alone: damaged, or with more than tensors in it"),
        ("unknown.pth", "x.safetensors", "{}: backbone.weight: the first key of a layout that is not known"),
        ("none.pth", "x.safetensors", "{}: no such file or directory"),
    ],
    ids=["suffix", "exists", "discriminator", "garbage", "unknown", "missing"],
)
def test_what_cannot_be_imported_is_one_line(
    source: Path | str, target: str, message: str, viceversa: Command, tmp_path: Path
) -> None:
    (tmp_path / "garbage.pth").write_bytes(b"PK\x03\x04 and so on")
    (tmp_path / "there.safetensors").write_text("mine")
    torch.save({"backbone.weight": torch.zeros(1)}, tmp_path / "unknown.pth")
    said = viceversa("import", source, target, cwd=tmp_path)
    assert refused(said, 1).startswith(message.format(source))
    assert (tmp_path / "there.safetensors").read_text() == "mine"
    assert not (tmp_path / "x.safetensors").exists()


def test_an_import_can_replace(viceversa: Command, tmp_path: Path) -> None:
    (tmp_path / "there.safetensors").write_text("mine")
    assert viceversa("import", ORIGINAL, "there.safetensors", "--overwrite", cwd=tmp_path).returncode == 0
    assert len(load_file(tmp_path / "there.safetensors")) > 9


def test_a_run_is_reported_and_shown_in_a_figure(lab: Path, viceversa: Command) -> None:
    told = viceversa("report", "run", cwd=lab)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(r"run/report\.html: written, \d\.\d MB\n", told.stdout)
    drawn = viceversa("grid", "run", "--rows", 2, "--columns", "input,AtoB,mask", "--out", "figure.png", cwd=lab)
    assert drawn.stderr == ""
    assert drawn.returncode == 0
    assert drawn.stdout.startswith("figure.png: ")
    assert drawn.stdout.endswith(" dpi\n")
    assert "no such column" in refused(viceversa("grid", "run", "--columns", "x", "--out", "x.png", cwd=lab), 1)
    assert "two runs or more" in refused(viceversa("compare", "run", "page.html", cwd=lab), 1)
