"""What was measured, for reading."""

from __future__ import annotations

from typing import Any


def table(facts: dict[str, Any]) -> str:
    """Return the facts as lines of text."""
    seconds, phases, peaks = facts["seconds"], facts["phases"], facts["peaks"]
    lines = [
        f"{facts['images_per_second']:.3g} images/s: {facts['crop']} px, batch {facts['batch']}, {facts['precision']}, "
        f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}",
        f"step           {seconds['step']:.3f} s ({seconds['fastest']:.3f} to {seconds['slowest']:.3f})",
        *(f"  {name:<12} {taken:.3f} s" for name, taken in phases.items()),
        f"work           {facts['gflop']:.1f} GFLOP, {facts['gflop_per_second']:.1f} GFLOP/s, "
        f"{facts['fraction_of_peak']:.0%} of the measured convolution peak",
        *(f"  peak {kind:<7} {p['matmul']:.0f} GFLOP/s matmul, {p['conv']:.0f} conv" for kind, p in peaks.items()),
        f"memory         {facts['memory_mib']:.0f} MiB at most",
        *(f"start-up       {taken:.2f} s {name}" for name, taken in facts["start_up"].items()),
    ]
    if against := facts["against"]:
        spread = f"{against['from']:.2f} to {against['to']:.2f}"
        lines.append(f"against        {against['times']:.2f} times as fast as {against['step']} ({spread})")
    return "\n".join(lines)
