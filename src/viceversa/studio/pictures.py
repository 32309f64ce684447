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
from viceversa.studio.frame import button, sentence, tagged
from viceversa.studio.uploads import DropZone

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
        self.pickers = ui.element("div").classes("pickers")
        button("Check the pictures", self.check)
        self.found = ui.element("div").classes("found")
        self.show_pickers()
        modes.on_value_change(self.show_pickers)

    def show_pickers(self) -> None:
        """Show what the mode asks for."""
        self.pickers.clear()
        labels = {"set": "Folder with trainA and trainB, pairs side by side, or a manifest"}
        labels = labels if self.mode == "set" else {"A": "A: what you have", "B": "B: what it should become"}
        with self.pickers:
            for which, label in labels.items():
                with ui.element("div").classes("card picker"):
                    self.show_picker(which, label)

    def show_picker(self, which: str, label: str) -> None:
        """Show one folder: type it, browse, or upload."""
        tagged("h3", label)
        with ui.element("div").classes("bar"):
            place = ui.input("Folder in the workspace").classes("grow")
            button("Browse", lambda: self.browse(place))
        DropZone(self.studio, "Or drop pictures or a zip", lambda folder: place.set_value(self.workspace.name(folder)))
        sheet = ui.element("div").classes("sheet")

        def changed() -> None:
            self.places[which] = str(place.value or "").strip()
            self.left_out, self.settings, self.manifest = set(), {}, ""
            self.found.clear()
            self.show_sheet(sheet, self.places[which])

        place.set_value(self.places[which])
        place.on_value_change(changed)
        self.show_sheet(sheet, self.places[which])

    def show_sheet(self, sheet: ui.element, place: str) -> None:
        """Show some pictures of a folder, from all over it."""
        sheet.clear()
        with sheet:
            try:
                files = list_images(self.workspace.readable(place)) if place else []
            except (OSError, ValueError) as error:
                tagged("p", str(error), "quiet")
                return
            if place:
                tagged("p", f"{len(files)} pictures", "count")
            self.thumbs(spread(files, SHEET))

    def thumbs(self, files: list[Path]) -> None:
        """Show small versions of some pictures, of those that lie in the workspace."""
        with ui.element("div").classes("thumbs"):
            for file in files:
                if self.workspace.holds(file):
                    frame.image(frame.address(self.workspace, file, 128), file.name).props["title"] = file.name

    async def browse(self, place: ui.input) -> None:
        """Let a folder be chosen, of those below the workspace."""
        with frame.dialog("Choose a folder") as dialog:
            here = tagged("p", "", "quiet")
            folders = ui.element("div").classes("folders")
            frame.answers(dialog, "Choose this folder", lambda: entered)
        entered = ""

        def enter(name: str) -> None:
            nonlocal entered
            entered = name
            here.set_text("/".join((self.workspace.root.name, *Path(name).parts)))
            folders.clear()
            with folders:
                if Path(name).parts:
                    button("↑ up", lambda: enter(Path(name).parent.as_posix()), "quiet")
                for folder in self.workspace.folders(name):
                    button(Path(folder).name, lambda folder=folder: enter(folder), "quiet")

        enter(str(place.value or "."))
        if chosen := await dialog:
            place.set_value(chosen)

    async def check(self) -> None:
        """Look for what is wrong, and tell it."""
        self.found.clear()
        with frame.errors_shown(self.found), self.found:
            words = ["data", "check", *self.words()]
            report = json.loads(await run_command([*words, "--json"], self.workspace.root, "Looking at the pictures"))
            note = report["found"]
            tagged("p", f"{sentence(note)} {'' if report['findings'] else 'Nothing is wrong.'}")
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


def plain(remedy: str) -> str:
    """Return a remedy without the names of options."""
    return re.sub(r" \([^)]*\b\w+\.\w+[^)]*\)", "", remedy).replace("generator.mask=true", "a mask, in All options,")
