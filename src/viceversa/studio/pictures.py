"""The part of the page Train that is about pictures: which, how they look, and what is wrong with them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import run, ui

from viceversa.config import DataConfig, load_config
from viceversa.paths import list_images
from viceversa.report.samples import spread
from viceversa.studio import frame
from viceversa.studio.commands import run_command
from viceversa.studio.files import DropZone, address
from viceversa.studio.frame import button, sentence, tagged

if TYPE_CHECKING:
    from viceversa.studio import Studio

MODES = {"two": "Two folders", "pairs": "Two folders of pairs, by name", "set": "A data set's folder"}
WORDS = {"error": "Put this right", "warning": "Worth a look", "note": "Good to know"}
REMOVABLE = {"broken", "flat", "tiny", "leak", "copies", "both-domains"}
"""Findings about files that can be left out: of copies the first is kept."""
OF_THE_ROOT = {"unused", "foreign"}
"""Findings about all that lies in data.root, which is the whole workspace for a list of pictures."""
SETTINGS = {
    "data.resize": "Keep their shapes, and train on squares cut out of them",
    "data.crop": "Train at {} pixels",
    "data.scale": "Read their numbers as {}",
}
"""Buttons for what findings suggest to set: key, and what it does with the value."""
SHEET, EXAMPLES = 12, 6  # pictures shown of a folder, and of a finding


class Pictures:
    """Which pictures to train on, and what was decided about them."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.mode = "two"
        self.places = {"A": "", "B": "", "set": ""}
        self.left_out: set[str] = set()
        self.settings: dict[str, str] = {}
        self.manifest = ""

    def words(self) -> list[str]:
        """Return the pictures as words of a command; raise FileNotFoundError for what is not there."""
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        if self.manifest:
            return ["data.root=.", f"data.manifest={self.manifest}", *settings]
        if self.mode == "set":
            return [f"data.root={self._place('set')}", *settings]
        pairs = ["data.layout=paired"] * (self.mode == "pairs")
        return [f"data.a={self._place('A')}", f"data.b={self._place('B')}", *pairs, *settings]

    def _place(self, which: str) -> str:
        return self.workspace.name(self.workspace.readable(self.places[which]))

    def show(self) -> None:
        """Make the part of the page."""
        modes = frame.toggle(MODES, "Kind of data").bind_value(self, "mode")
        self.show_pickers()
        modes.on_value_change(self.show_pickers.refresh)
        button("Check the pictures", self.check)
        self.found = ui.element("div").classes("found")

    @ui.refreshable_method
    def show_pickers(self) -> None:
        """Show what the mode asks for."""
        labels = {"A": "A: what you have", "B": "B: what it should become"}
        if self.mode == "set":
            labels = {"set": "Folder with trainA and trainB, pairs side by side, or a list of pictures (CSV)"}
        with ui.element("div").classes("pickers"):
            for which, label in labels.items():
                with ui.element("div").classes("card picker"):
                    self.show_picker(which, label)

    def show_picker(self, which: str, label: str) -> None:
        """Show one folder: type it, browse, or upload."""
        tagged("h3", label)
        place = frame.folder_field("Folder in the workspace", self.workspace.folders())
        DropZone(self.studio, "Or drop pictures or a zip", lambda folder: place.set_value(self.workspace.name(folder)))
        sheet = ui.element("div").classes("sheet")

        def changed() -> None:
            self.places[which] = str(place.value or "").strip()
            self.left_out, self.settings, self.manifest = set(), {}, ""
            self.found.clear()
            show_sheet()

        def show_sheet() -> None:
            sheet.clear()
            with sheet:
                try:
                    files = list_images(self.workspace.readable(self.places[which])) if self.places[which] else []
                except (OSError, ValueError) as error:  # perhaps not typed to its end yet
                    tagged("p", str(error), "quiet")
                else:
                    tagged("p", f"{len(files)} pictures" if files else "", "count")
                    self.thumbs(spread(files, SHEET))

        place.set_value(self.places[which])
        place.on_value_change(changed)
        show_sheet()

    def thumbs(self, files: list[Path]) -> None:
        """Show small versions of some pictures, of those that lie in the workspace."""
        with ui.element("div").classes("thumbs"):
            for file in files:
                if self.workspace.holds(file):
                    frame.image(address(self.workspace, file, 128), file.name).props["title"] = file.name

    async def check(self) -> None:
        """Look for what is wrong, and tell it."""
        with frame.errors_shown(self.found):
            words = ["data", "check", *self.words()]
            report = json.loads(await run_command([*words, "--json"], self.workspace.root, "Looking at the pictures"))
            tagged("p", f"{amounts(report['found'])} {'' if report['findings'] else 'Nothing is wrong.'}")
            for finding in report["findings"]:
                if not (self.manifest and finding["kind"] in OF_THE_ROOT):
                    self.show_finding(finding)
            frame.show_command(words)

    def show_finding(self, finding: dict[str, Any]) -> None:
        """Tell one thing that was found, with examples, and offer what one click can do about it."""
        kind, remedy = finding["kind"].removesuffix("-near"), finding["remedy"]
        drop = [file for group in finding["groups"] for file in group[1:] or group]
        files = [Path(file) for file in finding["files"][:EXAMPLES] if Path(file).is_file()]
        with ui.element("div").classes(f"finding {finding['severity']}"):
            tagged("strong", WORDS[finding["severity"]])
            tagged("p", sentence(finding["what"]))
            if kind == "broken":
                tagged("p", ", ".join(file.name for file in files))
            else:
                self.thumbs(files)
            settings = dict(re.findall(r"\b(data\.\w+)=(\w+)", remedy))
            if label := next((does.format(settings[key]) for key, does in SETTINGS.items() if key in settings), ""):
                use = button(label, lambda: self.use(settings))
                use.tooltip(" ".join(f"{key}={value}" for key, value in settings.items()))
            else:
                tagged("p", sentence(plain(remedy)), "quiet")
            if kind in REMOVABLE and all(Path(file).is_file() for file in drop):
                button(f"Leave out {len(drop)}", lambda: self.leave_out(drop))

    async def use(self, settings: dict[str, str]) -> None:
        """Take settings that a finding suggests."""
        self.settings |= settings
        await self.check()

    async def leave_out(self, files: list[str]) -> None:
        """Train without some files, by a manifest of the others; nothing is moved or deleted."""
        self.left_out |= {str(Path(file).resolve()) for file in files}
        with frame.errors_shown():
            self.manifest = await run.io_bound(self.write_manifest, load_config("style", self.words()).data) or ""
            await self.check()

    def write_manifest(self, data: DataConfig) -> str:
        """List all pictures but those that were left out; return the name of the list."""
        from viceversa.data import FileSample, find_splits

        splits = find_splits(data)
        path = self.workspace.fresh("uploads") / "pictures.csv"
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("a", "b", "split"))
            for name, split in (("train", splits.train), ("test", splits.test)):
                columns: list[Any] = [*zip(split.a, split.b, strict=True)] if split.paired else []
                columns = columns or [*((a, None) for a in split.a), *((None, b) for b in split.b)]
                for row in columns:
                    if any(one is not None and not (isinstance(one, FileSample) and one.half is None) for one in row):
                        raise ValueError("these pictures are not files of their own; remove them where they come from")
                    if all(map(self._kept, row)):
                        rows.writerow([*("" if one is None else self._relative(one) for one in row), name])
        return self.workspace.name(path)

    def _kept(self, sample: Any) -> bool:
        return sample is None or str(Path(str(sample)).resolve()) not in self.left_out

    def _relative(self, sample: Any) -> str:
        return self.workspace.name(Path(str(sample)).resolve())


def amounts(note: str) -> str:
    """Return what a check says of the numbers of pictures, in sentences."""
    counts = [" of A and ".join(text.split(" A, ")) for text in re.findall(r"\d+ A, \d+ B|\d+ pairs", note)]
    learn, *aside = [text.replace(" B", " of B") for text in counts] or [note]
    return f"{learn} to learn from{f', {aside[0]} kept aside to look at' if aside else ''}."


def plain(remedy: str) -> str:
    """Return a remedy without the names of options."""
    return re.sub(r" \([^)]*\b\w+\.\w+[^)]*\)", "", remedy).replace("generator.mask=true", "a mask, in All options,")
