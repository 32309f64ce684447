"""The page of one run: samples as they come, curves, findings, and what one can do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import run, ui

from viceversa.config import load_config
from viceversa.report.samples import spread
from viceversa.studio import frame
from viceversa.studio.curves import show_curves
from viceversa.studio.form import form_fields, show_field, show_form
from viceversa.studio.frame import button, section, sentence, show_command, tagged
from viceversa.studio.recipes import train_words
from viceversa.studio.trainings import Training

if TYPE_CHECKING:
    from viceversa.engine.run_dir import RunRecord
    from viceversa.studio import Studio

BEGINNINGS = {"waiting": "begins when the one before it has ended", "in training": "reading the pictures"}
ROWS = 4  # samples of a direction
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
        self.steps: list[int] = []
        self.index = 0
        self.images: list[tuple[ui.element, str]] = []

    async def show(self) -> None:
        """Make the page."""
        frame.title(self.name.removeprefix("runs/"))
        with ui.element("div").classes("status").props('role="status"'):
            self.pill = tagged("strong", "…", "pill")
            self.bar = ui.element("progress").props('max=1 value=0 aria-label="Share of the training that is done"')
            self.words = tagged("span", "")
        self.buttons = ui.element("div").classes("bar actions")
        self.trouble = tagged("p", "", "finding error")
        self.trouble.visible = False
        with ui.element("div") as self.results:
            with section(
                "Samples",
                "Pictures that the training does not see: input, translation at the step, and the truth if known.",
            ):
                self.scrubber, self.samples = ui.element("div").classes("master"), ui.element("div")
            with section("Findings"):
                self.findings = ui.element("div").classes("findings")
            with section("Curves"):
                self.curves = ui.element("div").classes("charts")
        self.results.visible = False
        with ui.expansion("What the training said").classes("fold"):
            self.said = ui.element("pre").classes("yaml")
        ui.timer(NEWS, self.update)

    async def update(self) -> None:
        """Show what is new."""
        training = self.studio.trainings.of(self.name)
        state = frame.state_word(training, None, self.path)
        files = [self.path / name for name in ("config.yaml", "events.jsonl", "log.jsonl", "doctor.jsonl", "samples")]
        seen = training, state, [file.stat().st_mtime_ns for file in files if file.exists()]
        if seen == self.seen:
            return
        self.seen = seen
        found = await run.io_bound(read, self.path)
        lines = self.studio.trainings.last_words(self.name)
        self.said.clear()
        with self.said:
            tagged("code", "\n".join(lines) or "Nothing yet.")
        self.results.visible = found is not None
        if found:
            self.record, status, charts, findings = found
            self.show_samples(self.record)
            self.show_findings(findings)
            show_curves(self.curves, charts)
            self.show_status(training, status)
        else:
            self.show_status(training, {})
        self.show_buttons(training)

    def show_status(self, training: Training | None, status: dict[str, Any]) -> None:
        """Show how far the training is."""
        trouble = "" if training and training.state else self.studio.trainings.ending(self.name)[1]
        ended = self.record.ended if self.record else None
        word = "failed" if trouble and not self.record else frame.state_word(training, ended, self.path)
        self.pill.set_text(word)
        self.pill.classes(replace=f"pill {word.replace(' ', '-')}")
        self.bar.props["value"] = status.get("share") or 0
        if self.record:
            total = f" of {self.record.total:,}" if self.record.total else ""
            left = status["left"] if word == "in training" else ""
            parts = [f"{self.record.step:,}{total} steps", status["taken"], left]
            self.words.set_text(", ".join(filter(None, parts)))
        else:
            self.words.set_text(BEGINNINGS.get(word, ""))
        self.trouble.set_text(trouble)
        self.trouble.visible = bool(trouble)

    def show_buttons(self, training: Training | None) -> None:
        """Offer what can be done in this state."""
        trainings, state = self.studio.trainings, training.state if training else ""
        self.buttons.clear()
        with self.buttons:
            if training and state == "in training":
                button("Pause", lambda: trainings.pause(training))
                button("Stop", lambda: trainings.stop(training))
            elif training and state == "paused":
                button("Continue", lambda: trainings.resume(training), "main")
                button("Stop", lambda: trainings.stop(training))
            elif training and state == "waiting":
                button("Take out of the queue", lambda: self.leave(training))
            elif not state and self.record and self.record.ended != "finished":
                button("Continue", self.go_on, "main")
            elif not state and self.record:
                button("Train longer", self.longer)
            if self.record:
                button("Fork with changes", self.fork)
                button("Translate with it", lambda: ui.navigate.to(f"/?run={quote(self.name)}"))
                button("Report", lambda: ui.navigate.to(f"/report/{quote(self.name)}", new_tab=True), "quiet")
            if training:
                show_command(training.words)

    def leave(self, training: Training) -> None:
        """Take the training out of the queue, which leaves nothing to show."""
        self.studio.trainings.stop(training)
        ui.navigate.to("/runs")

    def queue(self, name: str, words: list[str]) -> None:
        """Queue a training of a run whose pictures lie in the workspace."""
        with frame.errors_shown():
            self.studio.workspace.confined(load_config(self.name))
            self.studio.trainings.add(name, words)
            ui.navigate.to(frame.run_page(name))

    def go_on(self) -> None:
        """Continue where it stopped."""
        self.queue(self.name, train_words(self.name, changes={}, run=self.name))

    def longer(self) -> None:
        """Go on for as long again."""
        self.queue(self.name, train_words(self.name, changes=self.twice(), run=self.name))

    def twice(self) -> dict[str, str]:
        """Return the length to train for as long again."""
        assert self.record
        length = self.record.config.train.length
        return {"train.length": str(replace(length, amount=2 * length.amount))}

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
                self.studio.workspace.confined(load_config(self.name, [f"{k}={v}" for k, v in changes.items()]))
                self.queue(fork, [*train_words(self.name, changes=changes, run=self.name), "--fork", fork])

    def show_samples(self, record: RunRecord) -> None:
        """Show the samples of a step, the newest unless another was chosen."""
        if not record.sample_steps or record.sample_steps == self.steps:
            return
        chosen = self.steps[self.index] if self.index < len(self.steps) - 1 else record.sample_steps[-1]
        self.steps = record.sample_steps
        index = self.steps.index(chosen) if chosen in self.steps else len(self.steps) - 1
        self.scrubber.clear()
        with self.scrubber, ui.element("label"):
            tagged("span", "Step")
            slider = ui.slider(min=0, max=len(self.steps) - 1, value=index)
            slider.props('snap aria-label="Step of the training"').on_value_change(
                lambda event: self.turn_to(int(event.value))
            )
        with self.scrubber:
            self.at = tagged("output", "")
        self.samples.clear()
        self.images = []
        with self.samples:
            for direction in ("AtoB", "BtoA"):
                self.show_rows(direction)
        self.turn_to(index)

    def show_rows(self, direction: str) -> None:
        """Show some test images of a direction beside their translations, and the truth where it is known."""
        inputs = self.path / "samples" / "inputs"
        rows = spread(sorted(inputs.glob(f"{direction}-*-input.png")), ROWS)
        if not rows:
            return
        tagged("h3", direction.replace("to", " → "))
        with ui.element("div").classes("cards samples"):
            for path in rows:
                number = path.name.split("-")[1]
                with ui.element("figure").classes("sample"):
                    frame.image(frame.address(self.studio.workspace, path), f"test image {number}")
                    translated = frame.image("", f"its translation {direction}")
                    self.images.append((translated, f"{direction}-{number}-translation.png"))
                    truth = path.with_name(path.name.replace("input", "truth"))
                    if truth.is_file():
                        frame.image(frame.address(self.studio.workspace, truth), "the truth")

    def turn_to(self, index: int) -> None:
        """Show the translations of a step."""
        self.index, step = index, self.steps[index]
        self.at.set_text(f"step {step:,}")
        for shown, name in self.images:
            path = self.path / "samples" / f"step-{step:08d}" / name
            shown.props["src"] = frame.address(self.studio.workspace, path) if path.is_file() else ""

    def show_findings(self, findings: list[Any]) -> None:
        """Show what the doctor found."""
        self.findings.clear()
        with self.findings:
            for finding in findings:
                with ui.element("div").classes(f"finding {finding['severity']}"):
                    name = finding["finding"].replace("_", " ").replace("AtoB", "A → B").replace("BtoA", "B → A")
                    tagged("strong", sentence(name, end=""))
                    tagged("p", sentence(f"{finding['message']}, since step {finding['since']:,}"))
                    tagged("p", f"What helps: {finding['remedy']}.", "quiet")
            note = "Words with a dot in them are options, in Fork with changes."
            tagged("p", note if findings else "The doctor has found nothing wrong.", "quiet")
