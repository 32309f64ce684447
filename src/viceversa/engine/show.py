"""What a run shows of itself while it trains: sheets of samples, the doctor's findings, the page."""

from __future__ import annotations

from pathlib import Path

from viceversa import report
from viceversa.config import Config
from viceversa.data import TrainLoader
from viceversa.data.sheet import write_sheet
from viceversa.engine.doctor import Doctor
from viceversa.engine.learner import Learner
from viceversa.engine.report import Report
from viceversa.engine.samples import sample_columns, thin_out
from viceversa.seeds import seed_everything


class Show:
    """Only the first rank shows anything. Nothing here changes a training."""

    def __init__(self, config: Config, stream: TrainLoader, learner: Learner, report: Report) -> None:
        self.run, self.seed, self.train = Path(config.run), config.seed, config.train
        self.learner, self.report, self.leads = learner, report, learner.dist.is_main
        self.every = config.train.sample_every.steps(learner.steps_per_epoch)
        self.samples = stream.test_samples(config.train.samples) if self.leads else []
        self.doctor = Doctor(self.run, config)

    def sample(self) -> None:
        """Write a sheet of samples."""
        if self.leads:
            seed_everything(self.seed, 0, self.learner.step)
            columns = sample_columns(self.learner.ema.translators(), self.samples)
            write_sheet(self.run / "samples" / f"step-{self.learner.step:08d}.png", columns)
            thin_out(self.run / "samples", every=self.every, keep=self.train.keep_samples)

    def examine(self) -> None:
        """Let the doctor look at the sheet and the log, and say what is new."""
        if self.leads:
            known = set(self.doctor.found)
            for finding in self.doctor.examine(self.learner.step, self.learner.gradients()):
                if finding.finding not in known:
                    self.report.say(f"doctor: {finding.finding}: {finding.message}; {finding.remedy}")
            self.doctor.write()

    def page(self) -> None:
        """Write report.html. A page that cannot be written is no reason to end a training."""
        if not (self.leads and self.train.report):
            return
        try:
            report.write(self.run)
        except Exception as error:
            self.report.say(f"{self.run / report.NAME}: not written ({error})")
