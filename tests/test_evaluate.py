"""`viceversa evaluate`: what it says is what anybody would find with the translated files and the metrics by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from support import Command
from viceversa.config import ConfigError, load_config, to_yaml
from viceversa.data import find_splits, water2wine
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_io import read_image, write_image
from viceversa.engine.validation import Evaluation
from viceversa.evaluate import evaluate_folders, evaluate_model
from viceversa.metrics import make_metrics, suited_metrics
from viceversa.metrics.paired import l1, psnr
from viceversa.nets import ResNetGenerator
from viceversa.nets.weights import Card, save_generator
from viceversa.translate import TranslateOptions, translate_images

SIZE = 32
CHEAP = {"metrics": ["psnr", "l1", "cycle"], "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two untrained generators on pictures whose true answers are known."""
    folder = tmp_path_factory.mktemp("evaluate")
    water2wine.make(folder / "data", size=SIZE, count=2, test=6)
    data = [f"data.root={folder / 'data'}", f"data.load={SIZE}", f"data.crop={SIZE}", "data.paired_test=true"]
    config = load_config("cyclegan", [*data, f"run={folder / 'run'}"])
    (folder / "run").mkdir()
    (folder / "run" / "config.yaml").write_text(to_yaml(config), "utf-8")
    torch.manual_seed(0)
    for direction in ("AtoB", "BtoA"):
        for kind in ("", ".raw"):
            net = ResNetGenerator(3, 3, width=4, blocks=1)
            description = {"name": "resnet", "width": 4, "blocks": 1}
            card = Card(description, 3, 3, SIZE, direction, "running", {"step": 7, "ema": 0.9, "raw": bool(kind)})
            save_generator(folder / "run" / "weights" / f"{direction}{kind}.safetensors", net, card)
    return folder / "run"


@pytest.fixture(scope="module")
def translated(run: Path) -> Path:
    for direction in ("AtoB", "BtoA"):
        source = run.parent / "data" / f"test{direction[0]}"
        # several at once may be rounded otherwise, by a level here and there
        alone = TranslateOptions(direction=direction, batch=1, device="cpu")
        translate_images(run, str(source), run.parent / direction, alone)
    return run.parent


def named(found: list[dict], direction: str | None = "AtoB") -> dict[str, dict]:
    return {line["metric"].partition("[")[0]: line for line in found if line["direction"] == direction}


def test_a_run_scores_what_its_translated_files_score(run: Path, translated: Path) -> None:
    found = evaluate_model(run, device="cpu")
    assert {line["direction"] for line in found} == {"AtoB", "BtoA"}
    for direction in ("AtoB", "BtoA"):
        truth = translated / "data" / f"test{direction[-1]}"
        files = named(evaluate_folders(translated / direction, truth, ["kid", "psnr", "ssim", "l1"]), None)
        ours = named(found, direction)
        assert ours.keys() == files.keys() | {"cycle"}
        for name, line in files.items():
            assert ours[name]["value"] == pytest.approx(line["value"], rel=1e-4)
            assert ours[name]["spread"] == pytest.approx(line["spread"], rel=1e-3)  # a level of a pixel here and there


def test_baselines_are_the_input_and_the_mean_answer(run: Path) -> None:
    found = named(evaluate_model(run, **CHEAP))
    inputs, truths = (
        [read_image(p).pixels for p in sorted((run.parent / "data" / f"test{w}").iterdir())] for w in "AB"
    )
    mean = np.mean(truths, axis=0).round().astype(np.uint8)
    pairs = list(zip(inputs, truths, strict=True))
    assert found["psnr"]["baseline"]["input"] == pytest.approx(np.mean([psnr(a, b) for a, b in pairs]))
    assert found["l1"]["baseline"]["mean"] == pytest.approx(np.mean([l1(mean, b) for b in truths]))
    assert found["cycle"]["baseline"] is None


def test_values_carry_their_protocol_and_are_kept_in_the_run(run: Path) -> None:
    (run / "metrics.jsonl").unlink(missing_ok=True)
    first = evaluate_model(run, **CHEAP)
    second = evaluate_model(run, **CHEAP, ema=False)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert lines == first + second
    assert [line["weights"] for line in lines] == ["ema"] * 6 + ["raw"] * 6
    assert lines[0]["value"] != lines[6]["value"]
    line = named(first)["psnr"]
    assert line.keys() == {"step", "direction", "weights", "metric", "value", "spread", "baseline", "protocol"}
    assert line["step"] == 7
    expected = {"by": "evaluate", "split": "test", "size": SIZE, "pictures": 6, "better": "higher", "ema": 0.9}
    assert expected.items() <= line["protocol"].items()
    assert line["protocol"]["checkpoint"].endswith("AtoB.safetensors")


def test_scores_that_cannot_be_kept_are_told(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("metrics.jsonl"))
    (copy / "metrics.jsonl").mkdir()  # nobody can append to it, not even root
    assert named(evaluate_model(copy, **CHEAP)).keys() == {"psnr", "l1", "cycle"}
    assert "not kept" in caplog.text


def test_a_weights_file_is_told_its_data(run: Path) -> None:
    file = run / "weights" / "BtoA.safetensors"
    data = [f"data.root={run.parent / 'data'}", "data.paired_test=true"]
    found = evaluate_model(file, data, **CHEAP)
    assert named(found, "BtoA")["psnr"]["value"] == named(evaluate_model(run, **CHEAP), "BtoA")["psnr"]["value"]
    assert "cycle" not in named(found, "BtoA")
    with pytest.raises(ConfigError, match=r"no pictures given: set data\.root"):
        evaluate_model(file, **CHEAP)


def test_an_identity_scores_as_the_input_and_comes_back_whole(run: Path) -> None:
    config = load_config(run)
    pictures = EvalSet(find_splits(config.data), config)
    metrics = make_metrics(suited_metrics(True, True, 6))
    same = torch.nn.Identity()
    for scores in Evaluation(pictures, metrics).scores({"AtoB": same, "BtoA": same}).values():
        for score in scores:
            assert score["value"] == (0 if score["metric"] == "cycle" else score["baseline"]["input"])


def test_a_second_look_sees_new_translations(run: Path) -> None:
    config = load_config(run)
    test_images, dim = EvalSet(find_splits(config.data), config), {"AtoB": torch.nn.Hardtanh(-0.1, 0.1)}
    evaluation, fresh = (Evaluation(test_images, make_metrics(["l1", "kid"])) for _ in range(2))
    before = torch.random.get_rng_state()
    evaluation.scores({"AtoB": torch.nn.Identity()})
    assert evaluation.scores(dim) == fresh.scores(dim)
    assert torch.equal(before, torch.random.get_rng_state())


def test_folders_of_other_names_are_compared_as_sets(translated: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((translated / "AtoB").iterdir())):
        write_image(tmp_path / f"other{number}.png", read_image(path).pixels)
    truth = translated / "data" / "testB"
    found = named(evaluate_folders(tmp_path, truth), None)
    assert list(found) == ["kid", "fid"]
    assert found["fid"]["protocol"]["caution"].endswith("trust KID")
    with pytest.raises(ValueError, match="psnr, l1: needs an image called other0 in"):
        evaluate_folders(tmp_path, truth, **CHEAP)


def test_too_few_images_for_kid_are_said(translated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, path in enumerate(sorted((translated / "AtoB").iterdir())[:3]):
        write_image(tmp_path / f"{number}.png", read_image(path).pixels)
    found = evaluate_folders(tmp_path, translated / "data" / "testB")
    assert [line["metric"].partition("[")[0] for line in found] == ["fid"]
    assert "trust KID" not in found[0]["protocol"]["caution"]
    assert "KID is left out" in caplog.text
    for path in list(tmp_path.iterdir())[1:]:
        path.unlink()
    with pytest.raises(ValueError, match="too few to measure anything"):
        evaluate_folders(tmp_path, translated / "data" / "testB")


def test_what_cannot_be_compared_is_refused(run: Path, translated: Path, tmp_path: Path) -> None:
    truth = translated / "data" / "testB"
    with pytest.raises(FileNotFoundError, match="no such folder"):
        evaluate_folders(tmp_path / "none", truth)
    with pytest.raises(ConfigError, match=r"psnr, l1: .*data\.paired_test=true"):
        evaluate_model(run, ["data.paired_test=false"], **CHEAP)
    with pytest.raises(ConfigError, match=r"train\.lr=1: evaluating only asks for data"):
        evaluate_model(run, ["train.lr=1"], **CHEAP)
    with pytest.raises(FileNotFoundError, match=r"no best weights; .*train\.evaluate_every"):
        evaluate_model(run, **CHEAP, best=True)


def test_a_broken_test_picture_is_left_out(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    water2wine.make(tmp_path / "data", size=SIZE, count=1, test=3)
    broken = sorted((tmp_path / "data" / "testA").iterdir())[1]
    broken.write_bytes(b"")
    found = evaluate_model(run, [f"data.root={tmp_path / 'data'}"], **CHEAP)
    assert named(found)["psnr"]["protocol"]["pictures"] == 2
    assert caplog.text.count(f"skipped: {broken}") == 1


def test_the_command_prints_a_table_and_under_which_conditions(command: Command, run: Path) -> None:
    done = command("evaluate", run, "--metrics", "psnr,cycle", "--no-ema", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first.split() == ["metric", "value", "spread", "input", "mean", "answer"]
    value, _, _, mean = (float(word) for word in second.split()[3:])
    line = named([json.loads(x) for x in (run / "metrics.jsonl").read_text("utf-8").splitlines()[-4:]])["psnr"]
    assert value == pytest.approx(line["value"], rel=1e-3)
    assert mean == pytest.approx(line["baseline"]["mean"], rel=1e-3)
    assert "step 7; weights raw; ema 0.9; split test; size 32" in done.stdout
