"""What a training shows of itself: samples with a slider through the steps, the doctor's findings, curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from viceversa.report.samples import spread
from viceversa.studio.files import address
from viceversa.studio.frame import image, sentence, tagged
from viceversa.studio.workspace import Workspace

if TYPE_CHECKING:
    from viceversa.report.curves import Chart

ROWS = 4  # samples of a direction
COLOURS = ["#b5446a", "#2b93b3", "#c98a2b", "#7a9c4f", "#8f74c4", "#8a8a8a"]
"""The report's, between those of its light and of its dark scheme."""


class Samples:
    """Test images beside their translations at a step: the newest, unless another is chosen with the slider."""

    def __init__(self, workspace: Workspace, run: Path) -> None:
        self.workspace, self.folder = workspace, run / "samples"
        self.steps: list[int] = []
        self.images: list[tuple[ui.element, str]] = []
        with ui.element("div").classes("master"):
            with ui.element("label"):
                tagged("span", "Step")
                self.slider = ui.slider(min=0, max=0, value=0, on_change=self.turn)
                self.slider.props('snap aria-label="Step of the training"')
            self.at = tagged("output", "")
        self.rows = ui.element("div")

    def update(self, steps: list[int]) -> None:
        """Take new steps in."""
        if not steps or steps == self.steps:
            return
        chosen = self.steps[self.slider.value] if self.slider.value < len(self.steps) - 1 else steps[-1]
        self.steps = steps
        if not self.images:
            with self.rows:
                for direction in ("AtoB", "BtoA"):
                    self.show_rows(direction)
        self.slider.props["max"] = len(steps) - 1
        self.slider.set_value(steps.index(chosen) if chosen in steps else len(steps) - 1)
        self.turn()

    def show_rows(self, direction: str) -> None:
        """Show some test images of a direction, places for their translations, and the truth where it is known."""
        rows = spread(sorted(self.folder.glob(f"inputs/{direction}-*-input.png")), ROWS)
        if rows:
            tagged("h3", direction.replace("to", " → "))
        with ui.element("div").classes("cards samples"):
            for path in rows:
                number = path.name.split("-")[1]
                with ui.element("figure").classes("sample"):
                    image(address(self.workspace, path), f"test image {number}")
                    self.images.append(
                        (image("", f"its translation {direction}"), f"{direction}-{number}-translation.png")
                    )
                    truth = path.with_name(path.name.replace("input", "truth"))
                    if truth.is_file():
                        image(address(self.workspace, truth), "the truth")

    def turn(self) -> None:
        """Show the translations of the step that is chosen."""
        step = self.steps[int(self.slider.value)]
        self.at.set_text(f"step {step:,}")
        for shown, name in self.images:
            path = self.folder / f"step-{step:08d}" / name
            shown.props["src"] = address(self.workspace, path) if path.is_file() else ""


def show_findings(place: ui.element, findings: list[Any]) -> None:
    """Show what the doctor found."""
    place.clear()
    with place:
        for finding in findings:
            with ui.element("div").classes(f"finding {finding['severity']}"):
                name = finding["finding"].replace("_", " ").replace("AtoB", "A → B").replace("BtoA", "B → A")
                tagged("strong", sentence(name, end=""))
                tagged("p", sentence(f"{finding['message']}, since step {finding['since']:,}"))
                tagged("p", f"What helps: {finding['remedy']}.", "quiet")
        note = "Words with a dot in them are options, in Fork with changes."
        tagged("p", note if findings else "The doctor has found nothing wrong.", "quiet")


def show_curves(place: ui.element, charts: Sequence[Chart]) -> None:
    """Draw curves by ECharts, as vectors in the page's colours; or new values into those that are drawn."""
    plots = [element for element in place.descendants() if isinstance(element, ui.echart)]
    if len(plots) != len(charts) or not charts:
        place.clear()
        plots = []
        for chart in charts:
            with place, ui.element("figure").classes("chart"):
                tagged("h3", sentence(chart.title, end=""))
                tagged("p", chart.about, "quiet")
                plots.append(ui.echart({}, renderer="svg").classes("plot"))
        if not charts:
            with place:
                tagged("p", "Nothing has been logged yet.", "quiet")
    for plot, chart in zip(plots, charts, strict=True):
        plot.options.update(chart_options(chart))
        plot.update()


def chart_options(chart: Chart) -> dict[str, Any]:
    """Return what ECharts needs for a chart."""
    axis = {"axisLine": {"show": False}, "axisTick": {"show": False}, "splitLine": {"lineStyle": {"opacity": 0.25}}}
    several = len(chart.series) > 1
    lines = [
        {
            "name": series["label"],
            "type": "line",
            "data": [list(point) for point in zip(chart.steps, series["values"], strict=True)],
            "showSymbol": len(chart.steps) < 30,
            "symbolSize": 4,
            "lineStyle": {"width": 2, "type": "dashed" if series["dashed"] else "solid"},
        }
        for series in chart.series
    ]
    return {
        "animation": False,
        "color": COLOURS,
        "grid": {"left": 48, "right": 12, "top": 12, "bottom": 48 if several else 24},
        "legend": {"show": several, "bottom": 0, "icon": "roundRect", "itemWidth": 12, "itemHeight": 4},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "max": "dataMax", **axis, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": lines,
    }
