"""Networks computed in bands of rows, for images that do not fit into memory whole.

Rows of a layer's result follow from some more rows of its input, except where it normalises by the statistics of the
whole image. So the image is gone through once for each normalisation, band by band, to sum up its mean and variance;
when all are known, once more for the result. It equals that of the whole image up to rounding, without seams. What
later passes need is kept in temporary files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import FileIO
from tempfile import TemporaryFile, gettempdir
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx, nn

from viceversa.backends.windows import Moments, Window, merged, needs_statistics, normalised, trace, window_of
from viceversa.nets import Generator

BAND = 2**28
"""Bytes of memory for a band, at most: larger ones are slower, as they leave the cache."""

Plan: TypeAlias = dict[fx.Node, range]
"""Maps and the rows of them that are needed, in the order of computing."""


@dataclass
class Maps:
    """What is known of an image (or of several, which share their statistics) while it is gone through."""

    x: Tensor
    shapes: dict[fx.Node, tuple[int, ...]]
    moments: dict[fx.Node, Moments] = field(default_factory=dict)
    files: defaultdict[fx.Node, FileIO] = field(
        default_factory=lambda: defaultdict(lambda: TemporaryFile(buffering=0))  # noqa: SIM115
    )
    """Maps that are kept, each row as (B, W, C). A file has no name, so that nothing is left of it after a kill."""
    stored: set[fx.Node] = field(default_factory=set)
    """Those of them that are whole."""

    def close(self) -> None:
        """Give up all files."""
        for file in self.files.values():
            file.close()

    def write(self, node: fx.Node, rows: range, values: Tensor) -> None:
        """Put rows (B, C, h, W) into the file of a map."""
        numbers = values.permute(2, 0, 3, 1).contiguous().cpu().numpy()
        file, left = self.files[node], numbers.data.cast("B")
        file.seek(rows[0] * numbers[0].nbytes)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            told = f"{error.strerror} for temporary files; name a folder on a larger disk by TMPDIR"
            raise OSError(error.errno, told, gettempdir()) from None

    def read(self, node: fx.Node, rows: range) -> Tensor:
        """Return rows (B, C, h, W) of a map from its file."""
        count, channels, _, width = self.shapes[node]
        numbers = np.empty((len(rows), count, width, channels), np.float32)
        self.files[node].seek(rows[0] * numbers[0].nbytes)
        self.files[node].readinto(numbers.data)
        return torch.from_numpy(numbers).permute(1, 3, 0, 2).to(self.x.device)

    def keep(self, nodes: set[fx.Node]) -> None:
        """Keep these maps, which have been written, and no others."""
        for node in self.stored - nodes:
            self.files.pop(node).close()
        self.stored = nodes


class Bands:
    """A generator that computes in bands of rows.

    Raises ValueError, with the reason, for one that cannot: it takes one size only, draws random numbers, or has a
    layer that may look at the whole image, such as attention.
    """

    def __init__(self, net: Generator) -> None:
        self.net = net
        graph = trace(net)
        (self.source,) = graph.find_nodes(op="placeholder")
        (self.result,) = graph.find_nodes(op="output")[0].all_input_nodes
        self.nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
        modules = dict[Any, nn.Module](net.named_modules(remove_duplicate=False))
        self.layers = {node: modules[node.target] if node.op == "call_module" else None for node in self.nodes}
        self.windows = {node: window_of(node, layer) for node, layer in self.layers.items()}
        self.norms = [node for node, layer in self.layers.items() if needs_statistics(layer)]
        self.channels = self._channels(graph)
        side = net.multiple * max(1, 256 // net.multiple)
        maps = Maps(torch.empty(0), self._shapes(1, side, side))
        # about how much memory a pixel takes if the image is computed whole
        self.bytes_per_pixel = self._bytes(self._plan(self.result, range(side), maps, set()), maps) / side**2

    @torch.inference_mode()
    def __call__(self, x: Tensor, memory: float = BAND) -> Tensor:
        """Translate (B, C, H, W) in about `memory` bytes, besides x and the result."""
        results = []
        for image in torch.split(x, 1):
            with closing(Maps(image, self._shapes(1, *x.shape[2:]))) as maps:
                self._gather(maps, memory)
                results.append(x.new_empty(maps.shapes[self.result]))
                for rows, values in self._go(self.result, maps, set(), memory):
                    results[-1][:, :, rows.start : rows.stop] = values
        return results[0] if len(results) == 1 else torch.cat(results)

    @torch.inference_mode()
    def statistics(self, frames: Tensor, memory: float = BAND) -> dict[str, Moments]:
        """Return the mean and variance that frames (B, C, H, W) have together, by the name of the normalisation."""
        with closing(Maps(frames, self._shapes(len(frames), *frames.shape[2:]))) as maps:
            self._gather(maps, memory)
        return {str(node.target): moments for node, moments in maps.moments.items()}

    def _gather(self, maps: Maps, memory: float) -> None:
        """Go through the image once for each normalisation for its statistics; keep what is used later."""
        for norm in self.norms:
            (target,) = norm.all_input_nodes
            done = self.nodes[: self.nodes.index(norm) + 1]
            used_later = [node for node in done if not set(done).issuperset(node.users)]
            keep = set[fx.Node]().union(*map(self._kept_for, used_later))
            total = torch.zeros(3, self.channels[target], dtype=torch.float64)
            for _, values in self._go(target, maps, keep - maps.stored, memory):
                total = merged(total, values)
            maps.moments[norm] = total[1].to(maps.x), total[2].to(maps.x)
            maps.keep(keep)

    def _kept_for(self, node: fx.Node) -> set[fx.Node]:
        """Return the maps to keep for this one: what it is made of if it is no map yet, or several."""
        if node in self.norms or node.target is torch.split:
            return set[fx.Node]().union(*map(self._kept_for, node.all_input_nodes))
        return {node} - {self.source}

    def _go(self, target: fx.Node, maps: Maps, keep: set[fx.Node], memory: float) -> Iterator[tuple[range, Tensor]]:
        """Compute a map band by band; on the way, put those to keep into files."""
        height = rows = maps.shapes[target][2]
        while rows > 1 and self._bytes(self._plan(target, range(rows), maps, keep), maps) > min(memory, BAND):
            rows = -(-rows // 2)
        for first in range(0, height, rows):
            band = range(first, min(first + rows, height))
            yield band, self._compute(target, self._plan(target, band, maps, keep), maps, keep)

    def _plan(self, target: fx.Node, rows: range, maps: Maps, keep: set[fx.Node]) -> Plan:
        """Return what is needed for these rows of the target."""
        wanted = {target: rows}
        height = maps.shapes[target][2]
        for node in reversed(self.nodes):
            if node in keep:  # each band keeps its share, so that in the end all rows are there
                own = maps.shapes[node][2]
                share = range(rows.start * own // height, -(-rows.stop * own // height))
                wanted[node] = _hull(wanted.get(node), share)
            if node in wanted and node not in maps.stored:
                for arg in node.all_input_nodes:
                    needed = self.windows[node].needed(wanted[node], maps.shapes[arg][2])
                    wanted[arg] = _hull(wanted.get(arg), needed)
        return {node: wanted[node] for node in (self.source, *self.nodes) if node in wanted}

    def _compute(self, target: fx.Node, plan: Plan, maps: Maps, keep: set[fx.Node]) -> Tensor:
        values = dict[fx.Node, Any]()
        uses = _uses(plan, maps)
        for node, rows in plan.items():
            if node is self.source:
                values[node] = maps.x[:, :, rows.start : rows.stop]
            elif node in maps.stored:
                values[node] = maps.read(node, rows)
            else:
                values[node] = self._apply(node, plan, values, maps)
                for arg in node.all_input_nodes:
                    uses[arg] -= 1
                    if not uses[arg]:
                        del values[arg]
            if node in keep:
                maps.write(node, rows, values[node])
        result: Tensor = values[target]
        return result

    def _apply(self, node: fx.Node, plan: Plan, values: dict[fx.Node, Any], maps: Maps) -> Any:
        """Call a layer or a function with the rows that it needs, and cut off what its padding has spoilt."""
        layer, window, rows = self.layers[node], self.windows[node], plan[node]

        def part(arg: fx.Node) -> Any:
            needed = window.needed(rows, maps.shapes[arg][2])
            of_plan = slice(needed.start - plan[arg].start, needed.stop - plan[arg].start)
            if isinstance(values[arg], tuple):
                return tuple(one[:, :, of_plan] for one in values[arg])
            return values[arg][:, :, of_plan]

        args: Any = fx.node.map_arg(node.args, part)
        kwargs: Any = fx.node.map_arg(node.kwargs, part)
        if node in maps.moments:
            return normalised(args[0], layer, maps.moments[node])
        result = layer(*args, **kwargs) if layer else node.target(*args, **kwargs)  # type: ignore[operator]
        if window == Window():
            return result
        start = window.start(window.needed(rows, maps.shapes[node.all_input_nodes[0]][2]))
        return result[:, :, rows.start - start :][:, :, : len(rows)]

    def _bytes(self, plan: Plan, maps: Maps) -> float:
        """Return about how much memory a plan takes: thrice the maps needed at once, to allow for copies."""
        uses, size, peak, now = _uses(plan, maps), dict[fx.Node, float](), 0.0, 0.0
        for node, rows in plan.items():
            count, channels, _, width = maps.shapes[node]
            size[node] = 4.0 * count * channels * width * len(rows)
            now += size[node]
            peak = max(peak, now)
            for arg in () if node in maps.stored else node.all_input_nodes:
                uses[arg] -= 1
                now -= 0 if uses[arg] else size[arg]
        return 3 * peak

    def _channels(self, graph: fx.Graph) -> dict[fx.Node, int]:
        """Return the channels of every map (of several in a tuple, all together), as a small image has them."""
        channels = dict[fx.Node, int]()

        class Recorder(fx.Interpreter):
            def run_node(self, n: fx.Node) -> Any:
                result = super().run_node(n)
                channels[n] = sum(one.shape[1] for one in result) if isinstance(result, tuple) else result.shape[1]
                return result

        first = next(layer for layer in self.layers.values() if isinstance(layer, nn.Conv2d))
        side = self.net.multiple * max(2, 32 // self.net.multiple)
        x = torch.zeros(1, first.in_channels, side, side, device=first.weight.device)
        with torch.inference_mode():
            Recorder(self.net, graph=graph).run(x)
        return channels

    def _shapes(self, count: int, height: int, width: int) -> dict[fx.Node, tuple[int, ...]]:
        """Return the shape of every map for images (count, C, height, width)."""
        shapes: dict[fx.Node, tuple[int, ...]] = {self.source: (count, self.channels[self.source], height, width)}
        for node in self.nodes:
            _, _, *sizes = shapes[node.all_input_nodes[0]]
            shapes[node] = (count, self.channels[node], *map(self.windows[node].size, sizes))
        return shapes


def _hull(one: range | None, other: range) -> range:
    return other if one is None else range(min(one.start, other.start), max(one.stop, other.stop))


def _uses(plan: Plan, maps: Maps) -> Counter[fx.Node]:
    """Return how many of the maps that are to be computed each one is needed for."""
    return Counter(arg for node in plan if node not in maps.stored for arg in node.all_input_nodes)
