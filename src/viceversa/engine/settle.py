"""`auto` in the configuration becomes what is fastest on this machine, found by a short trial; the run keeps it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from viceversa.config import Config, load_config, to_tree
from viceversa.engine.compiling import worth_trying
from viceversa.engine.distributed import DistInfo
from viceversa.engine.environment import environment
from viceversa.engine.learner import Learner
from viceversa.files import cache_folder, replacing


class Form(NamedTuple):
    """Values of the keys that decide how fast a step is."""

    precision: Literal["fp32", "bf16"]
    channels_last: bool


FORMS = (Form("fp32", False), Form("fp32", True), Form("bf16", True))
"""What may be tried. fp16 needs its gradients scaled, so nobody gets it without asking."""
WORTH = 0.9
"""bf16, and compiled code, must take less than this share of the time: a lesser gain is not worth the price."""
STEPS = 3


def settled(config: Config, device: torch.device, dist: DistInfo) -> tuple[Config, str]:
    """Return the configuration without `auto`, and a sentence that says what was chosen and why ("" if nothing was).

    A run that exists keeps what it has. Several processes do not try: they take bf16 on a GPU that has it.
    """
    config, form = _settled_form(config, device, dist)
    config, compiled = _settled_compiler(config, device, dist)
    return config, "; ".join(filter(None, [form, compiled]))


def _settled_compiler(config: Config, device: torch.device, dist: DistInfo) -> tuple[Config, str]:
    """Compile where that is faster by far."""
    if config.train.compile != "auto":
        return config, ""
    path = Path(config.run) / "config.yaml"
    if config.run and path.exists():
        return _with(config, compile=load_config(path).train.compile is True), ""
    if not worth_trying(config, device, dist.world_size):
        return _with(config, compile=False), ""
    plain, compiled = (seconds_per_step(_with(config, compile=choice), device) for choice in (False, True))
    return _with(config, compile=compiled < WORTH * plain), f"compiled, a step takes {compiled / plain:.2f} of the time"


def _settled_form(config: Config, device: torch.device, dist: DistInfo) -> tuple[Config, str]:
    wanted = {key: getattr(config.train, key) for key in Form._fields}
    if "auto" not in wanted.values():
        return config, ""
    path = Path(config.run) / "config.yaml"
    if config.run and path.exists():
        before = load_config(path).train
        kept = {key: getattr(before, key) for key in Form._fields if wanted[key] == "auto"}
        return _with(config, **kept), ""
    forms = _forms(wanted, device)
    if not forms:  # fp16 or fp64 asked for: both are as fast in either layout, but for GPUs
        last = device.type == "cuda" and wanted["precision"] == "fp16"
        return _with(config, channels_last=last), ""
    if dist.world_size > 1:
        form = forms[-1] if device.type == "cuda" else forms[0]
        return _apply(config, form), f"train.precision={form.precision}: not tried, as there are several processes"
    times = _remembered(config, device, forms)
    return _chosen(config, times)


def _forms(wanted: dict[str, object], device: torch.device) -> list[Form]:
    """Return the forms worth trying among those that have the values that are named."""
    forms = [form for form in FORMS if all(wanted[k] in ("auto", v) for k, v in form._asdict().items())]
    if device.type == "mps" or not _has_bf16(device):
        forms = [form for form in forms if form.precision != "bf16"] or forms
    return forms


def _chosen(config: Config, times: dict[Form, float]) -> tuple[Config, str]:
    """Take the fastest form; one in bf16 only if it is faster by far."""
    plain = min((t for form, t in times.items() if form.precision == "fp32"), default=float("inf"))
    fair = {form: t for form, t in times.items() if form.precision == "fp32" or t < WORTH * plain}
    form = min(fair, key=fair.__getitem__)
    layout = "channels_last" if form.channels_last else "contiguous"
    gained = max(times.values()) / times[form]
    tried = f"the fastest of {len(times)} ways tried here, by up to {gained:.1f} times"
    return _apply(config, form), f"computing in {form.precision}, {layout}: {tried}"


def _remembered(config: Config, device: torch.device, forms: list[Form]) -> dict[Form, float]:
    """Return the seconds of a step of each form, from the cache folder if this was tried before."""
    tree = to_tree(config)
    parts = [tree[name] for name in ("method", "generator", "discriminator", "objective")]
    machine = environment(device)
    facts = [machine, parts, config.data.crop, config.train.batch, forms]
    path = cache_folder() / "trials" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    try:
        return {Form(*form): float(t) for form, t in json.loads(path.read_text("utf-8"))}
    except (OSError, ValueError, TypeError):
        times = {form: seconds_per_step(_apply(config, form), device) for form in forms}
    with replacing(path, durable=False) as temporary:
        temporary.write_text(json.dumps(list(times.items())), "utf-8")
    return times


def seconds_per_step(config: Config, device: torch.device) -> float:
    """Return the least time of some training steps on noise, after one that is not counted."""
    learner = Learner(config, steps_per_epoch=1, device=device)
    size = config.train.batch, config.data.crop, config.data.crop
    batch = {
        domain: torch.rand(size[0], channels, *size[1:]) * 2 - 1
        for domain, channels in (("A", config.data.channels_a), ("B", config.data.channels_b))
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


def _apply(config: Config, form: Form) -> Config:
    return _with(config, **form._asdict())


def _with(config: Config, **values: object) -> Config:
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **values))  # type: ignore[arg-type]
