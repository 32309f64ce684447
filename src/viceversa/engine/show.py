"""What a run shows of itself while it trains: samples, the doctor's findings, the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from viceversa.config import Config
from viceversa.data import TrainLoader
from viceversa.engine.doctor import Doctor
from viceversa.engine.learner import Learner
from viceversa.engine.report import Report
from viceversa.engine.sample_history import thin_out, translate_samples, write_samples
from viceversa.seeds import seed_everything

WriteReport: TypeAlias = Callable[[Path], object]


class Show:
    """Only the first rank shows anything. Nothing here changes a training."""

    def __init__(
        self,
        config: Config,
        stream: TrainLoader,
        learner: Learner,
        report: Report,
        write_report: WriteReport | None = None,
    ) -> None:
        self.run, self.seed, self.train = Path(config.run), config.seed, config.train
        self.learner, self.report, self.leads = learner, report, learner.dist.is_main
        self.every = config.train.sample_every.steps(learner.steps_per_epoch)
        self.samples = stream.test_samples(config.train.samples) if self.leads else []
        self.write_report = write_report if self.leads and self.train.report else None
        self.doctor = Doctor(self.run, config)

    def sample(self) -> None:
        """Keep what the translators make of the test images now."""
        if self.leads:
            seed_everything(self.seed, 0, self.learner.step)
            images = translate_samples(self.learner.ema.translators(), self.samples)
            write_samples(self.run / "samples", self.learner.step, images)
            thin_out(self.run / "samples", every=self.every, keep=self.train.keep_samples)

    def examine(self) -> None:
        """Let the doctor look at the samples and the log, and say what is new."""
        if self.leads:
            known = set(self.doctor.found)
            for finding in self.doctor.examine(self.learner.step, self.learner.gradients()):
                if finding.finding not in known:
                    self.report.say(f"doctor: {finding.finding}: {finding.message}; {finding.remedy}")
            self.doctor.write()

    def page(self) -> None:
        """Write the report. One that cannot be written is no reason to end a training."""
        if self.write_report is None:
            return
        try:
            self.write_report(self.run)
        except Exception as error:
            self.report.say(f"{self.run}: its report was not written ({error})")
