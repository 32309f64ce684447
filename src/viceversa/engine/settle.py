"""`auto` in the configuration becomes what is fastest on this machine, found by a short trial; the run keeps it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path

import torch

from viceversa.config import Config, load_config, to_tree
from viceversa.engine.distributed import World
from viceversa.engine.environment import environment
from viceversa.engine.learner import Learner
from viceversa.files import cache_folder, replacing

KEYS = ("precision", "channels_last")
FORMS = (("fp32", False), ("fp32", True), ("bf16", True))
"""What is tried. fp16 needs its gradients scaled, so nobody gets it without asking."""
WORTH = 0.9
"""bf16 must take less than this share of fp32's time: a lesser gain is not worth its rounding."""
STEPS = 3


def settled(config: Config, device: torch.device, world: World) -> tuple[Config, str]:
    """Return the configuration without `auto`, and a sentence that says what was chosen and why ("" if nothing was).

    A run that exists keeps what it has. Several processes do not try: they take bf16 on a GPU that has it.
    """
    wanted = {key: getattr(config.train, key) for key in KEYS}
    if "auto" not in wanted.values():
        return config, ""
    path = Path(config.run) / "config.yaml"
    if path.exists():
        before = load_config(path).train
        kept = {key: getattr(before, key) for key in KEYS if wanted[key] == "auto"}
        return _with(config, **kept), ""
    forms = [form for form in FORMS if all(w in ("auto", f) for w, f in zip(wanted.values(), form, strict=True))]
    if not forms:  # fp16 or fp64 asked for: both are as fast in either layout, but for GPUs
        return _with(config, channels_last=device.type == "cuda" and wanted["precision"] == "fp16"), ""
    if device.type == "mps" or not _has_bf16(device):
        forms = [form for form in forms if form[0] != "bf16"] or forms
    if world.size > 1:
        form = forms[-1] if device.type == "cuda" else forms[0]
        return _apply(config, form), f"train.precision={form[0]}: not tried, as there are several processes"
    times = _remembered(config, device, forms)
    return _chosen(config, times)


def _chosen(config: Config, times: dict[tuple[str, bool], float]) -> tuple[Config, str]:
    """Take the fastest form; one in bf16 only if it is faster by far."""
    plain = min((t for (precision, _), t in times.items() if precision == "fp32"), default=float("inf"))
    fair = {form: t for form, t in times.items() if form[0] == "fp32" or t < WORTH * plain}
    form = min(fair, key=fair.__getitem__)
    layout = "channels_last" if form[1] else "contiguous"
    slowest = max(times.values())
    return _apply(config, form), f"{form[0]}, {layout}: {slowest / times[form]:.1f} x as fast here as the slowest form"


def _remembered(config: Config, device: torch.device, forms: list[tuple[str, bool]]) -> dict[tuple[str, bool], float]:
    """Return the seconds of a step of each form, from the cache folder if this was tried before."""
    tree = to_tree(config)
    parts = [tree[name] for name in ("method", "generator", "discriminator", "objective")]
    machine = environment(device)
    facts = [machine, parts, config.data.crop, config.train.batch, forms]
    path = cache_folder() / "trials" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    try:
        return {(precision, bool(last)): float(t) for precision, last, t in json.loads(path.read_text("utf-8"))}
    except (OSError, ValueError, TypeError):
        times = {form: seconds_per_step(_apply(config, form), device) for form in forms}
    with replacing(path, durable=False) as temporary:
        temporary.write_text(json.dumps([[*form, t] for form, t in times.items()]), "utf-8")
    return times


def seconds_per_step(config: Config, device: torch.device) -> float:
    """Return the least time of some training steps on noise, after one that is not counted."""
    learner = Learner(config, steps_per_epoch=1, device=device)
    size = config.train.batch, config.data.crop, config.data.crop
    batch = {
        world: torch.rand(size[0], channels, *size[1:]) * 2 - 1
        for world, channels in (("A", config.data.channels_a), ("B", config.data.channels_b))
    }
    times = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        learner.train_step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _has_bf16(device: torch.device) -> bool:
    """Whether it computes in bf16 by itself; a CPU that only imitates it shows that in the trial."""
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _apply(config: Config, form: tuple[str, bool]) -> Config:
    return _with(config, precision=form[0], channels_last=form[1])


def _with(config: Config, **values: object) -> Config:
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **values))  # type: ignore[arg-type]
