"""`viceversa push`: a run on the Hugging Face Hub, without its checkpoints and logs, with a card written from it."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from viceversa import __version__
from viceversa.config import Config, load_config, to_yaml
from viceversa.engine.run_dir import read_run
from viceversa.export import ExportOptions, export_model
from viceversa.nets.weights import read_card
from viceversa.paths import directions, explained
from viceversa.report import render, summary
from viceversa.report.scores import best, histories


def push(run: Path, repository: str, *, private: bool = False, licence: str | None = None) -> str:
    """Publish a run as USER/NAME on the hub, a new one if there is none, and return its address."""
    with explained(repository):
        from huggingface_hub import HfApi

        api = HfApi()
        api.whoami()  # nothing is exported for somebody who is not logged in
    with tempfile.TemporaryDirectory() as folder:
        write_repository(run, Path(folder), repository, licence)
        with explained(repository):
            api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"viceversa {__version__}")
    return f"{api.endpoint}/{repository}"


def write_repository(run: Path, folder: Path, repository: str, licence: str | None) -> None:
    """Write what is published: a run's folder with weights and configuration, the networks as ONNX, samples, a card."""
    for direction in directions(run):
        name = f"{direction}.safetensors"
        (folder / "weights").mkdir(exist_ok=True)
        shutil.copyfile(run / "weights" / name, folder / "weights" / name)
        export_model(run, folder / "onnx" / f"{direction}.onnx", ExportOptions(direction=direction, licence=licence))
    for source, target in (("samples/latest.png", "samples.png"), ("metrics.jsonl", "metrics.jsonl")):
        if (run / source).is_file():
            shutil.copyfile(run / source, folder / target)
    (folder / "config.yaml").write_text(to_yaml(without_places(load_config(run))), "utf-8")
    (folder / "README.md").write_text(model_card(run, repository, licence), "utf-8")


def without_places(config: Config) -> Config:
    """Return a configuration that does not tell how the folders of this machine are called."""
    named = {key: getattr(config.data, key) for key in ("root", "manifest", "a", "b")}
    short = {key: value and value.rstrip("/").rpartition("/")[2] for key, value in named.items()}
    init = dataclasses.replace(config.init, AtoB=None, BtoA=None)
    return dataclasses.replace(config, run="", init=init, data=dataclasses.replace(config.data, **short))


def model_card(run: Path, repository: str, licence: str | None) -> str:
    """Return the card of a run, Markdown with the hub's header, all of it from what the run's folder tells."""
    record, ways = read_run(run), directions(run)
    card = read_card(run / "weights" / f"{ways[0]}.safetensors")
    config = without_places(record.config)
    options = ", ".join(f"{key} {value}" for key, value in card.generator.items() if key != "name")
    return render(
        "model_card.md.j2",
        name=repository.rpartition("/")[2],
        repository=repository,
        licence=licence,
        summary=summary(record, ways),
        has_samples=(run / "samples" / "latest.png").is_file(),
        method=config.method["name"],
        directions=ways,
        channels=card.in_channels,
        data=record.started.get("data") or config.data.root or f"{config.data.a} and {config.data.b}",
        generator=f"{card.generator['name']} ({options})",
        crop=config.data.crop,
        steps=card.trained.get("step", record.step),
        images_per_step=record.images_per_step,
        scores=[best(history) for history in histories(record)],
        cautions=[line["message"] for line in record.findings if line["severity"] != "note"][:5],
    )
