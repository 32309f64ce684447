"""Exported files compute what the run computes, go through the same code, and leave nothing behind if they do not."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from support import refusals
from viceversa.data.image_io import read_image
from viceversa.evaluate import evaluate_model
from viceversa.export import ExportOptions, export_model, proof
from viceversa.export.web import ort_files
from viceversa.info import describe
from viceversa.nets.weights import load_generator, read_card
from viceversa.translate import TranslateOptions, translate_images
from viceversa.translator import Translator


def test_an_onnx_file_translates_like_the_run_which_stays_as_it_is(run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    out = tmp_path / "there.onnx"
    (done,) = export_model(run, out, ExportOptions(direction="BtoA", licence="CC0-1.0"))
    assert (done.proof.images, done.proof.size) == (4, out.stat().st_size)
    assert done.proof.largest <= 1e-4
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [out]

    facts = onnxruntime.InferenceSession(out).get_modelmeta().custom_metadata_map
    assert (facts["direction"], facts["size_multiple"], facts["licence"]) == ("BtoA", "4", "CC0-1.0")
    assert json.loads(facts["trained"])["step"] == 1

    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 70, 4), np.uint8))  # fits no multiple
    ours, theirs = (np.asarray(Translator.load(model, "BtoA")(photo), int) for model in (out, run))
    assert ours.shape == (45, 70, 4)
    assert (abs(ours - theirs) > 1).mean() < 1e-3  # a pixel in a steep place may round otherwise
    assert ours[..., :3].std() > 5, "or everything is gray"
    with pytest.raises(ValueError, match="BtoA, not AtoB"):
        Translator.load(out, "AtoB")
    photo.convert("RGB").save(tmp_path / "photo.png")
    result = translate_images(out, str(tmp_path / "photo.png"), tmp_path / "out", TranslateOptions(backend="auto"))
    assert read_image(result.written[0]).pixels.shape == (45, 70, 3)
    assert "BtoA" in describe(out)
    data = [f"data.root={run.parent / 'data'}", "data.paired_test=true"]
    ours, theirs = (evaluate_model(model, data, ["l1"]) for model in (out, run / "weights" / "BtoA.safetensors"))
    assert ours[0]["value"] == pytest.approx(theirs[0]["value"], abs=1e-4)
    for options in ({"backend": "bf16"}, {"memory": 2**30}):
        with pytest.raises(ValueError, match="an exported file is run whole"):
            Translator.load(out, **options)


@pytest.mark.slow
def test_whoever_runs_a_file_with_io_need_not_normalise(run: Path, tmp_path: Path) -> None:
    (done,) = export_model(run, tmp_path / "io.onnx", ExportOptions(with_io=True))
    photo = np.random.default_rng(0).integers(0, 256, (2, 40, 64, 3), np.uint8)
    (result,) = onnxruntime.InferenceSession(done.path).run(None, {"x": photo})
    assert (result.dtype, result.shape) == (np.uint8, photo.shape)
    exact = Translator.load(run)(photo[1])
    assert abs(result[1].astype(int) - exact.astype(int)).max() <= 1
    assert abs(Translator.load(done.path)(photo[1]).astype(int) - exact.astype(int)).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision", "with_io", "decibels"),
    [("a.onnx", "fp16", False, 45), ("a.onnx", "int8", True, 30), ("a.xml", "int8", False, 30)],
)
def test_smaller_numbers_make_smaller_files(
    run: Path, tmp_path: Path, name: str, precision: str, with_io: bool, decibels: float
) -> None:
    options = ExportOptions(precision=precision, with_io=with_io)
    (done,) = export_model(run, tmp_path / name, options)
    assert decibels < done.proof.psnr < 100
    assert {path.suffix for path in tmp_path.iterdir()} == ({".xml", ".bin"} if name == "a.xml" else {".onnx"})
    assert Translator.load(done.path)(Image.new("RGB", (40, 30))).size == (40, 30)


@pytest.mark.slow
def test_openvino_and_safetensors(run: Path, tmp_path: Path) -> None:
    (done,) = export_model(run, tmp_path / "a.xml")
    assert done.proof.largest <= 1e-4, "in float32, though the CPU may have bfloat16"
    photos = [np.full((40, 40, 3), 10 * n, np.uint8) for n in range(8)]
    translate = Translator.load(done.path)
    alone = [translate(photo) for photo in photos]
    with ThreadPoolExecutor(8) as threads:
        assert np.array_equal(list(threads.map(translate, photos)), alone), "from several threads as from one"
    weights, card = run / "weights" / "BtoA.safetensors", read_card(run / "weights" / "BtoA.safetensors")
    folder = run.parent / "data" / "testB"
    (done,) = export_model(weights, tmp_path / "b.safetensors", ExportOptions(images=folder, precision="fp16"))
    assert 60 < done.proof.psnr < 120
    assert done.path.stat().st_size < 0.6 * weights.stat().st_size
    assert load_generator(done.path)[1] == card


@pytest.mark.slow
def test_a_proof_that_fails_leaves_no_file(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "LARGEST_ERROR", 0.0)
    with pytest.raises(ValueError, match="not written"):
        export_model(run, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


MISTAKES = [
    "export run a.xml --to onnx",
    "export run a.safetensors --precision int8",
    "export run a.png",
    "export run a.onnx --ort-web .",
    "export run a --to web --ort-web .",
    "export run a --to web --with-io",
    "export run a.onnx --images nowhere",
    "export run a.onnx --best",
    "export run there.onnx",
    "export there.onnx again.onnx --images run",
    "export run run/a.onnx",
    "distill run run/student",
]


def test_cheap_mistakes_are_one_line_and_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "run" / "weights").mkdir(parents=True)
    for name in ("run/config.yaml", "run/weights/AtoB.safetensors", "there.onnx"):
        (tmp_path / name).touch()
    found = [status for status, _ in refusals(MISTAKES, tmp_path)]
    assert found == [2 if words.startswith("distill") else 1 for words in MISTAKES]


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    for name in ("a.onnx", "a.xml"):
        (tmp_path / name).write_text("<net/>")
        with pytest.raises(ValueError, match="not written by viceversa export"):
            Translator.load(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="a script in the place of npm")
def test_npm_brings_what_the_page_needs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "ort.webgpu.min.mjs": "ort-wasm-simd-threaded.asyncify.mjs",
        "ort.wasm.min.mjs": "ort-wasm-simd-threaded.mjs",
    }
    parts = [f"ort-wasm-simd-threaded{kind}.{suffix}" for kind in ("", ".asyncify") for suffix in ("mjs", "wasm")]
    package = tmp_path / "package" / "dist"
    package.mkdir(parents=True)
    for name in (*files, *parts, "ort.node.min.js"):
        (package / name).write_text(f'import("./{files.get(name, name)}")')
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\n[ "$1" = pack ] && tar czf "$5/ort.tgz" -C {tmp_path} package\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))
    found = ort_files(None)
    assert sorted(path.name for path in found) == sorted([*files, *parts])
    npm.unlink()
    assert ort_files(None) == found
    assert not [path for path in found[0].parent.iterdir() if path.name == "ort.node.min.js"]
