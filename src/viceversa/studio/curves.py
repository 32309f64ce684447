"""Curves of a training, drawn by ECharts, which comes with NiceGUI, as vectors that take the page's colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from viceversa.studio.frame import tagged

if TYPE_CHECKING:
    from viceversa.report.curves import Chart

COLOURS = ["#b5446a", "#2b93b3", "#c98a2b", "#7a9c4f", "#8f74c4", "#8a8a8a"]
"""The report's, between those of its light and of its dark scheme."""


def options_of(chart: Chart) -> dict[str, Any]:
    """Return what ECharts needs for a chart."""
    axis = {"axisLine": {"show": False}, "axisTick": {"show": False}, "splitLine": {"lineStyle": {"opacity": 0.25}}}
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
        "grid": {"left": 48, "right": 12, "top": 12, "bottom": 48},
        "legend": {"bottom": 0, "icon": "roundRect", "itemWidth": 12, "itemHeight": 4},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "max": "dataMax", **axis, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": lines,
    }


def show_curves(place: ui.element, charts: Sequence[Chart]) -> None:
    """Draw the curves, or new values into those that are drawn."""
    drawn = [*place.descendants()]
    plots = [element for element in drawn if isinstance(element, ui.echart)]
    if len(plots) == len(charts):
        for plot, chart in zip(plots, charts, strict=True):
            plot.options.update(options_of(chart))
            plot.update()
        return
    place.clear()
    with place:
        for chart in charts:
            with ui.element("figure").classes("chart"):
                tagged("h3", chart.title)
                tagged("p", chart.about, "quiet")
                ui.echart(options_of(chart), renderer="svg").classes("plot")
        if not charts:
            tagged("p", "Nothing has been logged yet.", "quiet")
