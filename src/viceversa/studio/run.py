"""The page of one run: how far it is, what it shows, and what one can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import run, ui

from viceversa.config import load_config
from viceversa.studio import frame
from viceversa.studio.form import form_fields, show_field, show_form, train_words
from viceversa.studio.frame import button, section, show_command, tagged
from viceversa.studio.progress import Samples, show_curves, show_findings
from viceversa.studio.trainings import Training

if TYPE_CHECKING:
    from viceversa.engine.run_dir import RunRecord
    from viceversa.studio import Studio

BEGINNINGS = {"waiting": "begins when the one before it has ended", "in training": "reading the pictures"}
NEWS = 2.0  # seconds between looks at the run's folder
NOT_FORKED = {"run", "train.budget"}
"""Keys that a fork does not change."""


def read(path: Path) -> tuple[RunRecord, dict[str, Any], list[Any], list[Any]] | None:
    """Return what a run's folder tells: its record, status, charts and findings; None if there is nothing yet."""
    from viceversa.engine.run_dir import read_run
    from viceversa.report import current, status
    from viceversa.report.curves import log_charts

    if not (path / "config.yaml").is_file():
        return None
    record = read_run(path)
    return record, status(record), log_charts(record), current(record.findings)


class RunPage:
    """A run on the page, and what was last read of it."""

    def __init__(self, studio: Studio, name: str) -> None:
        self.studio, self.name = studio, name
        self.path = studio.workspace.path(name)
        if self.path.exists():
            studio.workspace.readable(name)
        self.record: RunRecord | None = None
        self.seen: Any = None

    async def show(self) -> None:
        """Make the page."""
        frame.title(self.name.removeprefix("runs/"))
        with ui.element("div").classes("status").props('role="status"'):
            self.pill = tagged("strong", "…", "pill")
            self.bar = ui.element("progress").props('max=1 value=0 aria-label="Share of the training that is done"')
            self.words = tagged("span", "")
        self.buttons = ui.element("div").classes("bar actions")
        self.trouble = tagged("p", "", "finding error")
        self.waiting = tagged("p", "Samples appear here as soon as the training has begun.", "quiet empty")
        with ui.element("div") as self.results:
            with section("Samples", "Pictures that it does not learn from: before, after, and the truth if known."):
                self.samples = Samples(self.studio.workspace, self.path)
            with section("Findings"):
                self.findings = ui.element("div").classes("findings")
            with section("Curves", "The training in numbers. Whether it is good, the samples tell better."):
                self.curves = ui.element("div").classes("charts")
        with ui.expansion("What the training said").classes("fold"), ui.element("pre").classes("yaml"):
            self.said = tagged("code", "")
        for hidden in (self.trouble, self.waiting, self.results):
            hidden.visible = False
        ui.timer(NEWS, self.update)

    async def update(self) -> None:
        """Show what is new."""
        trainings = self.studio.trainings
        training = trainings.of(self.name)
        files = [self.path / name for name in ("config.yaml", "events.jsonl", "log.jsonl", "doctor.jsonl", "samples")]
        seen = training, trainings.state(self.name), [file.stat().st_mtime_ns for file in files if file.exists()]
        if seen == self.seen:
            return
        self.seen = seen
        found = await run.io_bound(read, self.path)
        self.said.set_text("\n".join(trainings.last_words(self.name)) or "Nothing yet.")
        self.results.visible = found is not None
        if found:
            self.record, status, charts, findings = found
            self.samples.update(self.record.sample_steps)
            show_findings(self.findings, findings)
            show_curves(self.curves, charts)
        self.show_status(status if found else {})
        self.show_buttons(training)

    def show_status(self, status: dict[str, Any]) -> None:
        """Show how far the training is."""
        record, trainings = self.record, self.studio.trainings
        word = trainings.state(self.name, record.ended if record else None)
        trouble = "" if trainings.of(self.name) else trainings.ending(self.name)[1]
        self.trouble.set_text(trouble)
        self.trouble.visible = bool(trouble)
        self.waiting.visible = not (record or trouble)
        word = "failed" if trouble and not record else word
        self.pill.set_text(word)
        self.pill.classes(replace=f"pill {word.replace(' ', '-')}")
        self.bar.props["value"] = status.get("share") or 0
        parts = [BEGINNINGS.get(word, "")]
        if record:
            total = f" of {record.total:,}" if record.total else ""
            left = status["left"] if word == "in training" else ""
            parts = [f"{record.step:,}{total} steps", status["taken"], left]
        self.words.set_text(", ".join(filter(None, parts)))

    def show_buttons(self, training: Training | None) -> None:
        """Offer what can be done in this state."""
        trainings, record = self.studio.trainings, self.record
        live = {
            "in training": {"Pause": trainings.pause, "Stop": trainings.stop},
            "paused": {"Continue": trainings.resume, "Stop": trainings.stop},
            "waiting": {"Take out of the queue": self.leave},
        }
        self.buttons.clear()
        with self.buttons:
            if training:
                for text, action in live.get(training.state, {}).items():
                    button(text, partial(action, training), "main" if text == "Continue" else "")
            elif record and record.ended == "finished":
                button("Train longer", lambda: self.queue(self.name, self.twice()))
            elif record:
                button("Continue", lambda: self.queue(self.name), "main")
            if record:
                button("Fork with changes", self.fork)
                button("Translate with it", lambda: ui.navigate.to(f"/?run={quote(self.name)}"))
                button("Report", lambda: ui.navigate.to(f"/report/{quote(self.name)}", new_tab=True), "quiet")
            if training:
                show_command(training.words)

    def leave(self, training: Training) -> None:
        """Take the training out of the queue, which leaves nothing to show."""
        self.studio.trainings.stop(training)
        ui.navigate.to("/runs")

    def twice(self) -> dict[str, str]:
        """Return the length to train for as long again."""
        assert self.record
        length = self.record.config.train.length
        return {"train.length": str(replace(length, amount=2 * length.amount))}

    def queue(self, name: str, changes: Mapping[str, str] | None = None, *flags: str) -> None:
        """Queue a training that goes on from this run, whose pictures lie in the workspace."""
        with frame.errors_shown():
            words = train_words(self.name, changes=changes or {}, run=self.name)
            self.studio.workspace.confined(load_config(words[1], words[2:]))
            self.studio.trainings.add(name, [*words, *flags])
            ui.navigate.to(frame.run_page(name))

    async def fork(self) -> None:
        """Go on from here in a new run, with other values."""
        assert self.record
        changes = self.twice() if self.record.ended == "finished" else {}
        fields = await run.io_bound(form_fields, self.name, (), NOT_FORKED) or []
        with frame.dialog("Fork with changes") as dialog:
            tagged("p", "Goes on from the newest checkpoint in a new run; this one stays as it is.", "quiet")
            new = ui.input("Name of the new run", value=f"{Path(self.name).name}-2")
            length = next(field for field in fields if field.key == "train.length")
            show_field(length, changes, "Length, with the steps that are done")
            with ui.element("div").classes("scrolling"):
                show_form([field for field in fields if field is not length], changes)
            frame.answers(dialog, "Start", lambda: str(new.value))
        if name := await dialog:
            with frame.errors_shown():
                fork = self.studio.workspace.new_run(name)
                self.queue(fork, changes, "--fork", fork)
