"""The loop: data in, steps done, facts reported, nothing lost."""

from __future__ import annotations

import signal
from pathlib import Path

import torch

from viceversa import page
from viceversa.config import Config
from viceversa.data import Batch, Stream
from viceversa.data.sheet import write_sheet
from viceversa.engine import checkpoint, distributed
from viceversa.engine.chores import Chore
from viceversa.engine.distributed import World
from viceversa.engine.environment import environment
from viceversa.engine.folder import keep_config, refuse_changes
from viceversa.engine.interrupt import Interrupted, Request, listening
from viceversa.engine.learner import Learner
from viceversa.engine.report import Meter, Report
from viceversa.engine.results import save_weights
from viceversa.engine.samples import sample_columns
from viceversa.engine.schedule import total_steps
from viceversa.files import sweep
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
        self.chores = [  # in this order; what the checkpoint shall know of comes before `save`
            Chore("log", self.train.log_every.steps(self.epoch), self._log),
            Chore("sample", self.train.sample_every.steps(self.epoch), self._sample, at_start=True),
            Chore("save", self.train.save_every.steps(self.epoch), self._save),
            Chore("page", self.train.sample_every.steps(self.epoch), self._page, at_start=True),
        ]

    def fit(self) -> None:
        """Train to the end. Raises Interrupted after saving when a signal asks to stop."""
        self._open_run()
        with self.report, listening(self.report.stopping, self.report.leaving) as request:
            if self.learner.step == 0:
                self._do_chores()
            if self.learner.step < self.total:
                pinned = self.learner.device.type == "cuda"
                for batch in self.stream.batches(self.learner.step, self.world.rank, self.world.size, pinned):
                    self._one_step(batch, request)
                    if self.learner.step >= self.total:
                        break
            if self.world.leads:
                save_weights(self.run, self.learner)
            self.report.event("finished", self.learner.step)
            self._page()

    def _one_step(self, batch: Batch, request: Request) -> None:
        self.meter.add(self.learner.train_step(batch))
        self.report.advance(self.learner.step)
        stop = distributed.anywhere(bool(request), self.world, self.learner.device)
        self._do_chores()
        if stop and self.learner.step < self.total:
            self._save()
            self.report.event("interrupted", self.learner.step)
            self._page()
            raise Interrupted(request.signum or signal.SIGTERM)  # it may be another process that was asked

    def _do_chores(self) -> None:
        for chore in self.chores:
            if chore.due(self.learner.step, self.total):
                chore.do()

    def _open_run(self) -> None:
        """Keep the complete configuration, and load the newest checkpoint if there is one."""
        refuse_changes(self.run, self.config)
        state = checkpoint.restore(self.run / "checkpoints", self.world)
        if state is not None:
            shared, own = state
            self.learner.load_state_dict(shared, own["pools"])
            self.meter.load_state_dict(own["meter"])
        else:
            self.learner.start()
        if self.world.leads:
            sweep(self.run)
            keep_config(self.run, self.config)
        self.report.begin(self.learner.step)
        facts = {"total": self.total, "processes": self.world.size, "environment": environment(self.learner.device)}
        note = self.stream.source.note
        self.report.event("continued" if state else "started", self.learner.step, data=note, **facts)
        self.report.say(note)
        if state is not None:
            step = self.learner.step
            done = f"has all its {step} steps; a longer train.length goes on" if step >= self.total else ""
            self.report.say(f"{self.run}: {done or f'continues after step {step} of {self.total}'}")

    def _log(self) -> None:
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
        self.report.losses(step, (step - 1) // self.epoch, self.learner.lr, losses)

    def _sample(self) -> None:
        if self.world.leads:
            seed_everything(self.config.seed, 0, self.learner.step)
            columns = sample_columns(self.learner.average.translators(), self.samples)
            write_sheet(self.run / "samples" / f"step-{self.learner.step:08d}.png", columns)

    def _page(self) -> None:
        """Write report.html. A page that cannot be written is no reason to end a training."""
        if not (self.world.leads and self.train.report):
            return
        try:
            page.write(self.run)
        except Exception as error:
            self.report.say(f"{self.run / page.NAME}: not written ({error})")

    def _save(self) -> None:
        if not self.learner.finite():
            raise ValueError(
                f"step {self.learner.step}: the weights are not finite; {self.run} keeps its last checkpoint"
            )
        shared = self.learner.state_dict()
        own = {"pools": self.learner.pools_state_dict(), "meter": self.meter.state_dict()}
        folder = self.run / "checkpoints"
        checkpoint.save(folder, self.learner.step, shared, own, keep=self.train.keep, world=self.world)
        if self.world.leads:
            save_weights(self.run, self.learner)
