"""The loop: batches in, steps done, and every so often something else; nothing is lost, however it ends."""

from __future__ import annotations

import dataclasses
import logging
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from viceversa.config import ConfigError, Duration
from viceversa.data import TrainLoader
from viceversa.data.eval_set import EvalSet
from viceversa.devices import environment
from viceversa.engine import distributed
from viceversa.engine.checkpoint import Checkpoints, Choose, TrainState, save_weights
from viceversa.engine.interrupt import Interrupt, Interrupted
from viceversa.engine.learner import Learner
from viceversa.engine.nan_guard import NanGuard
from viceversa.engine.run_dir import RunDir
from viceversa.engine.run_log import RunLog
from viceversa.engine.sample_history import thin_out, translate_samples, write_samples
from viceversa.files import replacing, sweep
from viceversa.methods.base import Batch
from viceversa.seeds import seed_everything

WriteReport: TypeAlias = Callable[[Path], object]
log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class Callback:
    """What is done every so often, and after the last step; also after step `early`, 0 being the start.

    It is done in every process, so it may talk to the others.
    """

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
        write_report: WriteReport | None = None,
        origin: RunDir | None = None,
    ) -> None:
        config, dist = learner.config, learner.dist
        self.config, self.train, self.dist = config, config.train, dist
        self.loader, self.learner, self.notes = loader, learner, notes
        self.run, self.origin = RunDir(config.run), origin
        self.steps_per_epoch = learner.steps_per_epoch
        self.total = config.train.length.steps(self.steps_per_epoch)
        self.log = RunLog(self.run, config, self.total, dist)
        self.nan_guard = NanGuard(learner.update_guard, config.train, dist, tell=self.log.fault)
        self.state = TrainState(self.run, learner, self.nan_guard, loader)
        self.meter = self.state.meter
        self.saved = -1  # the step of the newest checkpoint
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
        with self.log, Interrupt(lambda: self.log.say(stopping), alone) as interrupt:
            if self.learner.step == 0:
                self._run(self._due())
            while self.learner.step < self.total:
                with closing(self._batches()) as batches:
                    for batch in batches:
                        # The step: the method's updates, but for those that are not finite.
                        self.meter.add(self.learner.train_step(batch, stop=bool(interrupt.signum)))
                        self.log.advance(self.learner.step)

                        # What is due now; whoever is asked to stop saves, whether or not that is due.
                        due = self._due()
                        sound = self.nan_guard.after_step(self._names)
                        stop = self.nan_guard.stop or (interrupt.signum and alone)
                        if stop and self.save not in due:
                            due.append(self.save)

                        # After too many skipped updates: back to a checkpoint, and on with another order of the data.
                        if not sound or (self.save in due and not self._may_save()):
                            self._go_back()
                            break

                        # Log, sample, validate, save, diagnose, report.
                        self._run(due)
                        if stop and self.learner.step < self.total:
                            self._end("interrupted")
                            raise Interrupted(interrupt.signum or signal.SIGTERM)  # another process may have been asked
            self._end("finished")

    def _begin(self) -> None:
        """Load the newest checkpoint if there is one, keep the complete configuration, and say what begins."""
        continued = self._load(self.checkpoints) or (self.origin is not None and self._fork(self.origin))
        if not continued:
            self.learner.start()
        if self.dist.is_main:
            sweep(self.run.path)
            self.run.keep(self.config)
        distributed.barrier(self.dist)  # what another process writes meanwhile must not be swept away
        step, note, machine = self.learner.step, self.loader.splits.note, environment(self.learner.device)
        self.log.begin(step, self.nan_guard.rollbacks)
        facts = {"total": self.total, "processes": self.dist.world_size, "environment": machine}
        self.log.event("continued" if continued else "started", step, data=note, **facts)
        for line in filter(None, (note, *self.notes)):
            self.log.say(line)
        if continued:
            done = f"has all its {step} steps; a longer train.length goes on" if step >= self.total else ""
            self.log.say(f"{self.run}: {done or f'continues after step {step} of {self.total}'}")

    def _fork(self, origin: RunDir) -> bool:
        """Begin where another run stands; its losses are the first part of the log."""
        every = self.checkpoints.every
        if not self._load(Checkpoints(origin.checkpoints, self.dist, keep=1, every=every), fork=True):
            raise ConfigError(f"{origin}: no checkpoint to go on from")
        if self.dist.is_main:
            lines = origin.log.read_text("utf-8").splitlines() if origin.log.exists() else []
            with replacing(self.run.log) as temporary:  # what went wrong there did not go wrong here
                temporary.write_text("".join(f"{line}\n" for line in lines if '"event": ' not in line), "utf-8")
        self._save()
        return True

    def _end(self, how: str) -> None:
        if self.dist.is_main and how == "finished":
            save_weights(self.run, self.learner)
        self.log.event(how, self.learner.step)
        self._report()

    def _batches(self) -> Generator[Batch, None, None]:
        """Yield the batches of this process from the step that is next to the last one."""
        config = dataclasses.replace(self.config, seed=self.learner.seed)
        self.loader = TrainLoader(self.loader.splits, config)
        pinned = self.learner.device.type == "cuda"
        with closing(self.loader.batches(self.learner.step, self.dist.rank, self.dist.world_size, pinned)) as batches:
            for _ in range(self.learner.step, self.total):
                with self._saving_first():
                    batch = next(batches)
                yield batch

    def _names(self, step: int) -> dict[str, list[str]]:
        return self.loader.names(step, self.dist.rank, self.dist.world_size)

    def _due(self) -> list[Callback]:
        step = self.learner.step
        return [callback for callback in self.callbacks if callback.due(step, self.total, self.steps_per_epoch)]

    def _run(self, callbacks: list[Callback]) -> None:
        with self._saving_first():
            for callback in callbacks:
                callback.action()

    @contextmanager
    def _saving_first(self) -> Iterator[None]:
        """Whatever goes wrong between two steps, save what was learned before the error ends the training.

        Of several processes, one alone cannot: the run goes on from its last checkpoint.
        """
        try:
            yield
        except Exception as error:
            try:
                if self.dist.world_size == 1 and self.saved != self.learner.step and self._may_save():
                    self._save()
                    self.log.say(f"{self.run}: saved after step {self.saved}; the same command again continues")
                self.log.event("failed", self.learner.step, reason=str(error))
            except Exception as second:
                log.warning("%s: step %d could not be saved (%s)", self.run, self.learner.step, second)
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
        self._load(self.checkpoints, lambda steps: guard.choose(self.checkpoints.planned(steps)))
        step, after = self.learner.step, row[-1]["step"]
        guard.gone_back(step, row, earlier)
        self.learner.retries = len(guard.rollbacks)
        self.checkpoints.drop_after(step)
        self._save()
        self.log.begin(step, guard.rollbacks)
        self.log.event("went back", step, after=after)
        slower = f", {self.learner.slowdown:g} x the learning rate" if self.learner.slowdown < 1 else ""
        self.log.say(f"step {after}: back to step {step}; another order of the data{slower}")

    def _load(self, checkpoints: Checkpoints, choose: Choose = lambda steps: steps, *, fork: bool = False) -> bool:
        """Return to the newest checkpoint of those chosen, if there is one."""
        found = checkpoints.restore(choose)
        if found is not None:
            self.state.restore(*found, fork=fork)
            self.saved = self.learner.step
        return found is not None

    def _log(self) -> None:
        step = self.learner.step
        self.log.losses(step, (step - 1) // self.steps_per_epoch, self.learner.lr, self.meter.means(self.dist))

    def _sample(self) -> None:
        """Keep what the translators make of the test images now."""
        if self.dist.is_main:
            step, folder = self.learner.step, self.run.samples
            seed_everything(self.config.seed, 0, step)
            write_samples(folder, step, translate_samples(self.learner.ema.translators(), self.samples))
            every = self.train.sample_every.steps(self.steps_per_epoch)
            thin_out(folder, every=every, keep=self.train.keep_samples)
            self.log.loggers.image(step, folder / "latest.png")

    def _validation(self) -> list[Callback]:
        """Measure every so often, in the first process, if that is asked for. Raises what `Validation` does."""
        if not (self.train.evaluate_every.amount and self.dist.is_main):
            return []
        from viceversa.engine.validation import Validation

        validation = Validation(self.loader.splits, self.learner)

        def measure() -> None:
            self.log.scores(self.learner.step, self.steps_per_epoch, validation.run())

        return [Callback(self.train.evaluate_every, measure)]

    def _save(self) -> None:
        self.saved = self.learner.step
        self.checkpoints.save(self.learner.step, *self.state.gather())
        if self.dist.is_main:
            save_weights(self.run, self.learner)

    def _diagnose(self) -> None:
        """Let the doctor look at samples and log, and say what is new."""
        if self.dist.is_main:
            from viceversa.engine import diagnostics  # here, as the first step need not wait for it

            known = diagnostics.recall(self.run)
            found = diagnostics.examine(self.run, self.config, self.learner.step, known)
            for finding in found:
                if finding.finding not in known:
                    self.log.say(f"doctor: {finding.finding}: {finding.message}; {finding.remedy}")
            diagnostics.write(self.run, found)

    def _report(self) -> None:
        """Write the report. One that cannot be written is no reason to end a training."""
        if self.write_report:
            try:
                self.write_report(self.run.path)
            except Exception as error:
                self.log.say(f"{self.run}: its report was not written ({error})")
