"""The loop: data in, steps done, facts reported, nothing lost."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from viceversa.config import Config, ConfigError, flat, to_tree
from viceversa.data import Batch, TrainLoader
from viceversa.devices import environment
from viceversa.engine import distributed
from viceversa.engine.callbacks import Callback
from viceversa.engine.checkpoint import Checkpoints, Choose
from viceversa.engine.distributed import DistInfo
from viceversa.engine.folder import keep_config, refuse_changes, refuse_other_pictures
from viceversa.engine.interrupt import Interrupted, Request, listening
from viceversa.engine.learner import Learner
from viceversa.engine.mishaps import advice, fault
from viceversa.engine.pace import Pace
from viceversa.engine.report import Meter, Report
from viceversa.engine.results import save_weights
from viceversa.engine.room import needed, warning
from viceversa.engine.schedule import total_steps
from viceversa.engine.show import Show, WriteReport
from viceversa.engine.sinks import feed
from viceversa.engine.state import check
from viceversa.files import sweep


class Trainer:
    """Trains in a run folder: starts there, or goes on exactly where the last checkpoint stopped."""

    def __init__(
        self,
        config: Config,
        stream: TrainLoader,
        learner: Learner,
        dist: DistInfo = DistInfo(),
        choice: str = "",
        write_report: WriteReport | None = None,
    ) -> None:
        self.config, self.train, self.dist = config, config.train, dist
        self.stream, self.learner, self.choice = stream, learner, choice
        self.run = Path(config.run)
        self.epoch = stream.steps_per_epoch(dist.world_size)
        self.total = total_steps(config.train, self.epoch)
        self.checkpoints = Checkpoints(
            self.run / "checkpoints", dist, keep=self.train.keep, every=self.train.save_every.steps(self.epoch)
        )
        self.meter, self.pace = Meter(), Pace()
        self.images = config.train.batch * dist.world_size
        self.report = Report(self.run, self.total, self.images, dist)
        self.show = Show(config, stream, learner, self.report, write_report)
        self.feed = feed(config, flat(to_tree(config)), dist)
        self.save = Callback("save", self.train.save_every.steps(self.epoch), self._save, early=0)
        self.callbacks = [  # in this order; what the checkpoint shall know of comes before it
            Callback("log", self.train.log_every.steps(self.epoch), self._log),
            Callback("sample", self.train.sample_every.steps(self.epoch), self.show.sample, early=0),
            *self._validation(),
            Callback("tell", self.train.log_every.steps(self.epoch), self.feed.follow),
            self.save,
            Callback("doctor", self.train.sample_every.steps(self.epoch), self.show.examine),
            Callback("page", self.train.sample_every.steps(self.epoch), self.show.page, early=1),
        ]

    def _validation(self) -> list[Callback]:
        """Measure every so often, if that is asked for. Raises what `Validation` does."""
        if not (every := self.train.evaluate_every.steps(self.epoch)):
            return []
        from viceversa.engine.validation import Validation

        validation = Validation(self.stream.splits, self.learner)
        return [
            Callback("evaluate", every, lambda: self.report.scores(self.learner.step, self.epoch, validation.run()))
        ]

    def fit(self) -> None:
        """Train to the end. Raises Interrupted after saving when a signal asks to stop."""
        self._open_run()
        with (
            self.report,
            self.feed,
            listening(self.report.stopping, self.report.leaving if self.dist.world_size == 1 else None) as request,
        ):
            if self.learner.step == 0:
                self._do(self._due())
            while self.learner.step < self.total:
                self._train_on(request)
            if self.dist.is_main:
                save_weights(self.run, self.learner)
            self.report.event("finished", self.learner.step)
            self.show.page()

    def _train_on(self, request: Request) -> None:
        """Train to the end, or until the run had to go back to a checkpoint."""
        stream = TrainLoader(self.stream.splits, dataclasses.replace(self.config, seed=self.learner.seed))
        pinned = self.learner.device.type == "cuda"
        with closing(stream.batches(self.learner.step, self.dist.rank, self.dist.world_size, pinned)) as batches:
            self._take_steps(stream, batches, request)

    def _take_steps(self, stream: TrainLoader, batches: Iterator[Batch], request: Request) -> None:
        for batch in batches:
            self.meter.add(self.learner.train_step(batch, stop=bool(request)))
            self.report.advance(self.learner.step)
            self.pace.step()
            due = self._due()
            stop = self._heed(stream, settle=bool(due)) or (bool(request) and self.dist.world_size == 1)
            if stop and self.save not in due:
                self._heed(stream, settle=True)
                due.append(self.save)
            back = self._must_go_back(due)
            if back:
                self._go_back()
            else:
                self._do(due)
            if stop and self.learner.step < self.total:
                self.report.event("interrupted", self.learner.step)
                self.show.page()
                raise Interrupted(request.signum or signal.SIGTERM)  # it may be another process that was asked
            if back or self.learner.step == self.total:
                return

    def _due(self) -> list[Callback]:
        return [chore for chore in self.callbacks if chore.due(self.learner.step, self.total)]

    def _do(self, chores: list[Callback]) -> None:
        for chore in chores:
            with self.pace.chore(chore.name):
                chore.do()

    def _heed(self, stream: TrainLoader, *, settle: bool) -> bool:
        """Note what the guard has found; return whether any process was asked to stop."""
        stop = False
        for verdict in self.learner.guard.read(settle=settle):
            stop = stop or verdict.stop
            found = fault(verdict, stream, self.dist)
            self.learner.mishaps.note(found)
            if found:
                self.report.fault(found)
            if len(self.learner.mishaps.row) == self.train.max_skips:
                break  # what came after will be undone
        return stop

    def _must_go_back(self, due: list[Callback]) -> bool:
        """Whether too many steps were skipped, or what is to be saved now must not be."""
        if len(self.learner.mishaps.row) == self.train.max_skips:
            return True
        spoilt = self.save in due and distributed.any_rank(not self.learner.finite(), self.dist, self.learner.device)
        if spoilt:
            self.learner.mishaps.note({"step": self.learner.step, "updates": [], "wrong": ["a weight"], "pictures": {}})
        return spoilt

    def _go_back(self) -> None:
        """Return to the last checkpoint and take another way from there. Raises ValueError if that was tried enough."""
        mishaps = self.learner.mishaps
        row, earlier = mishaps.row, mishaps.rollbacks
        if len(earlier) >= self.train.max_rollbacks:
            raise ValueError(advice(mishaps, str(self.run)))
        self._load(lambda steps: mishaps.way_back(self.checkpoints.planned(steps)))
        step, after = self.learner.step, row[-1]["step"]
        mishaps.went_back(step, row, earlier)
        self.checkpoints.drop_after(step)
        self._save()
        self.report.begin(step, mishaps.rollbacks)
        self.report.event("went back", step, after=after)
        rate = f", {mishaps.rate:g} x the learning rate" if mishaps.rate < 1 else ""
        self.report.say(f"step {after}: back to step {step}; another order of the data{rate}")

    def _open_run(self) -> None:
        """Keep the complete configuration, and load the newest checkpoint if there is one."""
        refuse_changes(self.run, self.config)
        known = self._load()
        if not known:
            self.learner.start()
        if self.dist.is_main:
            sweep(self.run)
            keep_config(self.run, self.config)
        distributed.barrier(self.dist)  # what another process writes meanwhile must not be swept away
        self.report.begin(self.learner.step, self.learner.mishaps.rollbacks)
        facts = {
            "total": self.total,
            "processes": self.dist.world_size,
            "environment": environment(self.learner.device),
        }
        self.show.doctor.recall()
        note = self.stream.splits.note
        self.report.event("continued" if known else "started", self.learner.step, data=note, **facts)
        self.report.say(note)
        for fact in filter(None, (self.choice, self._warning())):
            self.report.say(fact)
        if known:
            step = self.learner.step
            done = f"has all its {step} steps; a longer train.length goes on" if step >= self.total else ""
            self.report.say(f"{self.run}: {done or f'continues after step {step} of {self.total}'}")

    def _warning(self) -> str:
        leads = self.dist.is_main and self.learner.step < self.total
        return warning(self.run, needed(self.config, self.learner, self.total)) if leads else ""

    def _load(self, choose: Choose = lambda steps: steps) -> bool:
        """Return to the newest checkpoint of those chosen, if there is one."""
        state = self.checkpoints.restore(choose)
        if state is None:
            return False
        shared, own = state
        check(self.checkpoints.folder, shared, own)
        if not self.config.data.may_change:
            refuse_other_pictures(self.run, shared["pictures"], self.stream.fingerprint())
        if shared["images"] not in (None, self.images):
            raise ConfigError(
                f"{self.run}: took {shared['images']} pictures of each domain a step, and would take {self.images} "
                f"with train.batch={self.train.batch} in {self.dist.world_size} processes; the product must not change"
            )
        self.learner.load_state_dict(shared, own["pools"])
        self.meter.load_state_dict(own["meter"])
        return True

    def _log(self) -> None:
        step = self.learner.step
        losses = self.meter.means(distributed.all_mean(self.meter.stacked(), self.dist))
        self.meter = Meter()
        left = self.pace.left(step, self.total, self.callbacks)
        self.report.losses(step, (step - 1) // self.epoch, self.learner.lr, losses, left)

    def _save(self) -> None:
        shared = {**self.learner.state_dict(), "images": self.images, "pictures": self.stream.fingerprint()}
        own = {"pools": self.learner.pools_state_dict(), "meter": self.meter.state_dict()}
        self.checkpoints.save(self.learner.step, shared, own)
        if self.dist.is_main:
            save_weights(self.run, self.learner)
