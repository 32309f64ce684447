"""The loop: batches in, steps done, and every so often something else; nothing is lost, however it ends."""

from __future__ import annotations

import dataclasses
import logging
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import ConfigError, Duration
from viceversa.data import TrainLoader
from viceversa.data.eval_set import EvalSet
from viceversa.devices import environment
from viceversa.engine import Interrupt, Interrupted, distributed
from viceversa.engine.checkpoint import Checkpoints, TrainState, save_weights
from viceversa.engine.learner import Learner
from viceversa.engine.nan_guard import NanGuard
from viceversa.engine.run_dir import RunDir, read_lines, write_lines
from viceversa.engine.run_log import RunLog
from viceversa.engine.sample_history import KEPT, thin_out, translate_samples, write_samples
from viceversa.files import sweep
from viceversa.methods.base import Batch
from viceversa.seeds import seed_everything

log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class Callback:
    """What every process does every so often, after the last step, and after step `early` (0: at the start)."""

    every: Duration
    action: Callable[[], None]
    early: int | None = None

    def due(self, step: int, total: int, steps_per_epoch: int) -> bool:
        """Return whether it is due after `step` of `total` steps."""
        return step == self.early or (step > 0 and (step == total or step % self.every.steps(steps_per_epoch) == 0))


class Trainer:
    """Trains in a run's folder: begins there, or goes on exactly where the last checkpoint stopped."""

    def __init__(
        self,
        loader: TrainLoader,
        learner: Learner,
        notes: Sequence[str] = (),
        write_report: Callable[[Path], object] | None = None,
        origin: RunDir | None = None,
    ) -> None:
        config, dist = learner.config, learner.dist
        self.config, self.train, self.dist = config, config.train, dist
        self.loader, self.learner, self.notes = loader, learner, notes
        self.run, self.origin = RunDir(config.run), origin
        self.steps_per_epoch = learner.steps_per_epoch
        self.total = config.train.length.steps(self.steps_per_epoch)
        self.log = RunLog(self.run, config, self.steps_per_epoch, dist)
        self.nan_guard = NanGuard(learner.update_guard, config.train, dist, tell=self.log.fault)
        self.state = TrainState(self.run, learner, self.nan_guard, loader)
        self.meter = self.state.meter
        save_every = config.train.save_every.steps(self.steps_per_epoch)
        self.checkpoints = Checkpoints(self.run.checkpoints, dist, keep=config.train.keep, every=save_every)
        self.write_report = write_report if dist.is_main and config.train.report else None
        self.samples = EvalSet(loader.splits, config).samples(config.train.samples) if dist.is_main else []
        self.save = Callback(self.train.save_every, self._save, early=0)
        self.callbacks = [  # in this order; what the checkpoint shall know of comes before it
            Callback(self.train.log_every, self._log),
            Callback(self.train.sample_every, self._sample, early=0),
            *self._validation(),
            self.save,
            Callback(self.train.sample_every, self._diagnose),
            Callback(self.train.sample_every, self._report, early=1),
        ]

    def fit(self) -> None:
        """Train to the end. Raises Interrupted, after saving, when a signal asks to stop."""
        self._begin()
        alone = self.dist.world_size == 1
        stopping = "stopping after this step; Ctrl-C again leaves at once, without saving"
        interrupt = Interrupt(lambda: self.log.say(stopping), alone)
        with self.log, interrupt, closing(self._batches()) as batches:
            if self.learner.step == 0:
                self._run(self._due())
            for batch in batches:
                # The step: the method's updates, but for those that are not finite.
                self.meter.add(self.learner.train_step(batch, stop=bool(interrupt.signum)))
                self.log.advance(self.learner.step)

                # What is due now; whoever is asked to stop saves, whether or not that is due.
                due = self._due()
                sound = self.nan_guard.after_step(self.learner.step, self.loader)
                stop = self.learner.update_guard.stop or (interrupt.signum and alone)
                if stop and self.save not in due:
                    due.append(self.save)

                # After too many skipped updates: back to a checkpoint, and on with another order of the data.
                if not sound or (self.save in due and not self._may_save()):
                    self._go_back()
                    continue

                # Log, sample, validate, save, diagnose, report.
                self._run(due)
                if stop and self.learner.step < self.total:
                    self._end("interrupted")
                    raise Interrupted(interrupt.signum or signal.SIGTERM)  # another process may have been asked
            self._end("finished")

    def _begin(self) -> None:
        """Load the newest checkpoint if there is one, keep the complete configuration, and say what begins."""
        steps = self.checkpoints.steps()
        if steps:
            self.state.restore(*self.checkpoints.read(steps))
        elif self.origin:
            self._fork(self.origin)
        else:
            self.learner.start()
        if self.dist.is_main:
            sweep(self.run.path)
            self.run.keep(self.config)
        distributed.barrier(self.dist)  # what another process writes meanwhile must not be swept away
        self.log.begin(self.learner.step, self.nan_guard.rollbacks)
        step, data, machine = self.learner.step, self.loader.splits.note, environment(self.learner.device)
        facts = {"data": data, "total": self.total, "processes": self.dist.world_size, "environment": machine}
        self.log.event("continued" if steps or self.origin else "started", step, **facts)
        for line in filter(None, (data, *self.notes)):
            self.log.say(line)
        if steps or self.origin:
            done = f"has all its {step} steps; a longer train.length goes on" if step >= self.total else ""
            self.log.say(f"{self.run}: {done or f'continues after step {step} of {self.total}'}")

    def _fork(self, origin: RunDir) -> None:
        """Begin where another run stands; its losses are the first part of the log."""
        theirs = Checkpoints(origin.checkpoints, self.dist, keep=1, every=self.checkpoints.every)
        if not (steps := theirs.steps()):
            raise ConfigError(f"{origin}: no checkpoint to go on from")
        self.state.restore(*theirs.read(steps), fork=True)
        if self.dist.is_main:  # what went wrong there did not go wrong here
            write_lines(self.run.log, [line for line in read_lines(origin.log) if "event" not in line])
        self._save()

    def _end(self, how: str) -> None:
        if self.dist.is_main and how == "finished":
            save_weights(self.run, self.learner)
        self.log.event(how, self.learner.step)
        self._report()

    def _batches(self) -> Generator[Batch, None, None]:
        """Yield this process's batches up to the last step; after the run went back, in another order from there."""
        place = self.dist.rank, self.dist.world_size, self.learner.device.type == "cuda"
        while self.learner.step < self.total:
            seed = self.learner.seed
            self.loader = TrainLoader(self.loader.splits, dataclasses.replace(self.config, seed=seed))
            with closing(self.loader.batches(self.learner.step, *place)) as batches:
                while self.learner.step < self.total and self.learner.seed == seed:
                    with self._saving_first():
                        batch = next(batches)
                    yield batch

    def _due(self) -> list[Callback]:
        step = self.learner.step
        return [callback for callback in self.callbacks if callback.due(step, self.total, self.steps_per_epoch)]

    def _run(self, callbacks: list[Callback]) -> None:
        with self._saving_first():
            for callback in callbacks:
                callback.action()

    @contextmanager
    def _saving_first(self) -> Iterator[None]:
        """Whatever goes wrong between two steps, save first. Of several processes, one alone cannot."""
        try:
            yield
        except Exception as error:
            step = self.learner.step
            try:
                if self.dist.world_size == 1 and step not in self.checkpoints.steps() and self._may_save():
                    self._save()
                    self.log.say(f"{self.run}: saved after step {step}; the same command again continues")
                self.log.event("failed", step, reason=str(error))
            except Exception as second:
                log.warning("%s: step %d could not be saved (%s)", self.run, step, second)
            raise

    def _may_save(self) -> bool:
        """Return whether all that would be saved is finite, in all processes."""
        return self.nan_guard.before_saving(self.learner.finite(), self.learner.step)

    def _go_back(self) -> None:
        """Return to the last checkpoint and take another way from there. Raises ValueError if that was tried enough."""
        guard = self.nan_guard
        row, earlier = guard.row, guard.rollbacks
        if len(earlier) >= self.train.max_rollbacks:
            raise ValueError(guard.advice(self.run))
        self.state.restore(*self.checkpoints.read(guard.choose(self.checkpoints.planned())))
        step, after = self.learner.step, row[-1]["step"]
        guard.gone_back(step, row, earlier)
        self.learner.retries = len(guard.rollbacks)
        self.checkpoints.drop_after(step)
        self._save()
        self.log.begin(step, guard.rollbacks)
        self.log.event("went back", step, after=after)
        slower = f", {self.learner.slowdown:g} x the learning rate" if self.learner.slowdown < 1 else ""
        self.log.say(f"step {after}: back to step {step}; another order of the data{slower}")

    def _log(self) -> None:
        self.log.losses(self.learner.step, self.learner.lr, self.meter.means(self.dist))

    def _sample(self) -> None:
        """Keep what the translators make of the test images now."""
        if self.dist.is_main:
            step, every = self.learner.step, self.train.sample_every.steps(self.steps_per_epoch)
            seed_everything(self.config.seed, 0, step)
            images = translate_samples(self.learner.ema.translators(), self.samples)
            self.log.loggers.image(step, write_samples(self.run.samples, step, images))
            thin_out(self.run.samples, every=every, keep=KEPT)

    def _validation(self) -> list[Callback]:
        """Measure every so often, in the first process, if that is asked for. Raises what `Validation` does."""
        if not (self.train.evaluate_every.amount and self.dist.is_main):
            return []
        from viceversa.engine.validation import Validation

        validation = Validation(self.loader.splits, self.learner)
        return [Callback(self.train.evaluate_every, lambda: self.log.scores(self.learner.step, validation.run()))]

    def _save(self) -> None:
        self.checkpoints.save(self.learner.step, *self.state.gather())
        if self.dist.is_main:
            save_weights(self.run, self.learner)

    def _diagnose(self) -> None:
        """Let the doctor look at samples and log, and say what is new."""
        if self.dist.is_main:
            from viceversa.engine import diagnostics  # here, as the first step need not wait for it

            for new in diagnostics.update(self.run, self.config, self.learner.step):
                self.log.say(f"doctor: {new.finding}: {new.message}; {new.remedy}")

    def _report(self) -> None:
        """Write the report. One that cannot be written is no reason to end a training."""
        if self.write_report:
            try:
                self.write_report(self.run.path)
            except Exception as error:
                self.log.say(f"{self.run}: its report was not written ({error})")
