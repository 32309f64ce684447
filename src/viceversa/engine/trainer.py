"""The loop: data in, steps done, facts reported, nothing lost."""

from __future__ import annotations

import signal
from pathlib import Path

import torch

from viceversa.config import Config, ConfigError, Duration, load_config, to_tree, to_yaml
from viceversa.data import Batch, Stream
from viceversa.data.sheet import write_sheet
from viceversa.engine import checkpoint, distributed
from viceversa.engine.distributed import World
from viceversa.engine.interrupt import Interrupted, Request, listening
from viceversa.engine.learner import Learner
from viceversa.engine.report import Meter, Report
from viceversa.engine.samples import sample_columns
from viceversa.engine.schedule import rate, total_steps
from viceversa.files import replacing, sweep
from viceversa.methods import describe
from viceversa.nets.weights import Card, save_generator
from viceversa.seeds import seed_everything


class Trainer:
    """Trains in a run folder: starts there, or goes on exactly where the last checkpoint stopped."""

    def __init__(self, config: Config, stream: Stream, learner: Learner, world: World = World()) -> None:
        self.config, self.train, self.world = config, config.train, world
        self.stream, self.learner = stream, learner
        self.run = Path(config.run)
        self.epoch = stream.steps_per_epoch(world.size)
        self.total = total_steps(config.train, self.epoch)
        self.meter = Meter()
        self.report = Report(self.run, self.total, config.train.batch * world.size, world)
        self.samples = stream.test_samples(config.train.samples) if world.leads else []

    def fit(self) -> None:
        """Train to the end. Raises Interrupted after saving when a signal asks to stop."""
        self._open_run()
        with self.report, listening(self.report.stopping, self.report.leaving) as request:
            if self.learner.step == 0:
                self._sample()
            if self.learner.step < self.total:
                for batch in self.stream.batches(self.learner.step, self.world.rank, self.world.size):
                    self._one_step(batch, request)
                    if self.learner.step >= self.total:
                        break
            self._save_weights()
            self.report.event("finished", self.learner.step)

    def _one_step(self, batch: Batch, request: Request) -> None:
        lr = self.train.lr * rate(self.train, self.learner.step, self.epoch)
        self.meter.add(self.learner.train_step(batch))
        step, last = self.learner.step, self.learner.step == self.total
        self.report.advance(step)
        if last or self._due(self.train.log_every):
            self._log(lr)
        if last or self._due(self.train.sample_every):
            self._sample()
        stop = distributed.anywhere(bool(request), self.world, self.learner.device)
        if last or stop or self._due(self.train.save_every):
            self._save()
        if stop and not last:
            self.report.event("interrupted", step)
            raise Interrupted(request.signum or signal.SIGTERM)  # it may be another process that was asked

    def _due(self, every: Duration) -> bool:
        return self.learner.step % every.steps(self.epoch) == 0

    def _open_run(self) -> None:
        """Keep the complete configuration, and load the newest checkpoint if there is one."""
        path = self.run / "config.yaml"
        if path.exists():
            self._refuse_changes(path)
        state = checkpoint.restore(self.run / "checkpoints", self.world)
        if state is not None:
            shared, own = state
            self.learner.load_state_dict(shared, own["pools"])
            self.meter.load_state_dict(own["meter"])
        else:
            self.learner.start()
        if self.world.leads:
            sweep(self.run)
            with replacing(path) as temporary:
                temporary.write_text(to_yaml(self.config, describe(self.config)), "utf-8")
        self.report.begin(self.learner.step)
        self.report.event("continued" if state else "started", self.learner.step, data=self.stream.source.note)
        self.report.say(self.stream.source.note)
        if state is not None:
            step = self.learner.step
            done = f"has all its {step} steps; a longer train.length goes on" if step >= self.total else ""
            self.report.say(f"{self.run}: {done or f'continues after step {step} of {self.total}'}")

    def _refuse_changes(self, path: Path) -> None:
        """Only what cannot change a step's result, or only the length, may differ from the run's configuration."""
        before, now = flat(to_tree(load_config(path))), flat(to_tree(self.config))
        changed = sorted(key for key in now if now[key] != before.get(key) and key not in FREE)
        if changed:
            differing = ", ".join(f"{key} {before.get(key)} -> {now[key]}" for key in changed)
            raise ConfigError(
                f"{self.run}: was trained with other values ({differing}); choose another folder with run=FOLDER, "
                f"or continue as it was: viceversa train {self.run}"
            )

    def _log(self, lr: float) -> None:
        means = distributed.mean(self.meter.stacked(), self.world)
        losses = dict(zip(self.meter.sums, means.tolist(), strict=True))
        self.meter = Meter()
        step = self.learner.step
        if not bool(torch.isfinite(means).all()):
            wrong = ", ".join(name for name, value in losses.items() if value - value != 0)
            raise ValueError(
                f"step {step}: {wrong} is no longer a finite number; {self.run} keeps its last good checkpoint. "
                "Lower train.lr, use train.precision=fp32, or look for flat pictures in the data"
            )
        self.report.losses(step, (step - 1) // self.epoch, lr, losses)

    def _sample(self) -> None:
        if self.world.leads:
            seed_everything(self.config.seed, 0, self.learner.step)
            columns = sample_columns(self.learner.average.translators(), self.samples)
            write_sheet(self.run / "samples" / f"step-{self.learner.step:08d}.png", columns)

    def _save(self) -> None:
        if not self.learner.finite():
            raise ValueError(
                f"step {self.learner.step}: the weights are not finite; {self.run} keeps its last checkpoint"
            )
        shared = self.learner.state_dict()
        own = {"pools": self.learner.pools_state_dict(), "meter": self.meter.state_dict()}
        folder = self.run / "checkpoints"
        checkpoint.save(folder, self.learner.step, shared, own, keep=self.train.keep, world=self.world)
        self._save_weights()

    def _save_weights(self) -> None:
        """Write each translator into a file of its own, averaged and raw, for `viceversa translate`."""
        if not self.world.leads:
            return
        networks = {"": self.learner.average.translators(), ".raw": self.learner.method.translators()}
        for kind, translators in networks.items():
            for direction, net in translators.items():
                source, target = direction.split("to")
                channels = {"A": self.config.data.channels_a, "B": self.config.data.channels_b}
                card = Card(
                    self.config.generator,
                    channels[source],
                    channels[target],
                    self.config.data.crop,
                    direction,
                    self.config.inference,
                    {
                        "method": self.config.method["name"],
                        "step": self.learner.step,
                        "ema": self.train.ema,
                        "raw": bool(kind),
                    },
                )
                save_generator(self.run / "weights" / f"{direction}{kind}.safetensors", net, card)


FREE = {
    *("run", "inference", "data.workers", "train.length", "train.decay", "train.device"),
    *("train.save_every", "train.keep", "train.sample_every", "train.samples", "train.log_every"),
}
"""Keys that may differ when a run is continued."""


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested values under dotted keys."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
