"""Where a run is shown besides its own folder: TensorBoard, Weights & Biases, MLflow. One more is a class and a line.

Each takes project, account and server from its own environment variables. A continued run goes on in the same place;
what a logger has of steps that are done again is not logged twice.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from viceversa.config import Config, flat, to_tree
from viceversa.engine.run_dir import RunDir
from viceversa.files import replacing

log = logging.getLogger("viceversa")


@dataclass
class Logger:
    """Shows values and images of a training by step. Steps up to `logged` were logged before."""

    run: RunDir
    config: Mapping[str, Any]
    step: int
    """After which it begins, or begins again."""
    logged: int
    total: int
    id: str
    """What it called itself when the run began, "" until then."""

    def open(self) -> None:
        """Begin, or begin again."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show values by name: `loss/gan_G`, `lr`, `AtoB/kid[inception]`."""

    def image(self, step: int, sheet: Image.Image) -> None:
        """Show a contact sheet of the samples."""

    def close(self) -> None:
        """Write what waits, and leave."""


class TensorBoard(Logger):
    """Event files in RUN/tensorboard. TensorBoard drops the steps that are done again: `purge_step`."""

    def open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=self.step + 1 if self.step else None)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def image(self, step: int, sheet: Image.Image) -> None:
        import numpy as np

        self.writer.add_image("samples", np.array(sheet), step, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class WandB(Logger):
    """WANDB_PROJECT and WANDB_MODE say where. W&B keeps what it was told; only what is new is added."""

    def open(self) -> None:
        import wandb

        self.id, self.to_image = self.id or secrets.token_hex(4), wandb.Image
        self.session = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "viceversa"),
            id=self.id,
            name=self.run.path.name,
            resume="allow",
            dir=str(self.run),
            config=dict(self.config),
            settings=wandb.Settings(console="off"),  # the terminal is the progress bar's
        )

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        if step > self.logged:
            self.session.log(dict(values), step=step)

    def image(self, step: int, sheet: Image.Image) -> None:
        self.log(step, {"samples": self.to_image(sheet)})

    def close(self) -> None:
        self.session.finish()


class MLflow(Logger):
    """MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where. MLflow keeps what it was told, too."""

    def open(self) -> None:
        import mlflow

        self.mlflow, begun = mlflow, self.id
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "viceversa"))
        self.id = mlflow.start_run(begun or None, run_name=self.run.path.name).info.run_id
        if not begun:
            mlflow.log_params({key: str(value)[:500] for key, value in self.config.items()})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self.logged:  # MLflow takes no brackets in a name
            named = {re.sub(r"\[(.*)\]", r":\1", name): value for name, value in values.items()}
            self.mlflow.log_metrics(named, step, run_id=self.id)

    def image(self, step: int, sheet: Image.Image) -> None:
        self.mlflow.log_image(sheet, f"samples/step-{step:08d}.png")

    def close(self) -> None:
        self.mlflow.end_run()


class Notebook(Logger):
    """A bar and the newest samples, in the cell of a notebook that trains."""

    def open(self) -> None:
        from IPython import display

        self.to_html = display.HTML
        self.bar, self.sheet = (display.display(display.HTML(""), display_id=True) for _ in range(2))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        told = "  ".join(f"{name.removeprefix('loss/')} {value:.3g}" for name, value in values.items() if name != "lr")
        bar = f'<progress style="width: 100%" value="{step}" max="{self.total}"></progress>'
        self.bar.update(self.to_html(f"{bar}<br>step {step} of {self.total}  {told}"))

    def image(self, step: int, sheet: Image.Image) -> None:
        self.sheet.update(sheet)


LOGGERS: dict[str, type[Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
    "notebook": Notebook,  # by itself, in notebooks
}
EXTRAS = {"tensorboard": "log", "wandb": "wandb", "mlflow": "mlflow"}
"""What to install for each."""


class Loggers:
    """The loggers of a run. One that fails (a server that is down) is dropped with a warning: the training goes on."""

    def __init__(self, run: RunDir, config: Config, total: int, names: Sequence[str]) -> None:
        self.run, self.names, self.config, self.total = run, names, flat(to_tree(config)), total
        self.open_ones: dict[str, Logger] = {}

    def open(self, step: int, logged: int) -> None:
        """Begin after `step` steps; those to `logged` were logged before. Raises ValueError if a package is missing."""
        self.close()
        if not self.names:
            return
        ids = json.loads(self.run.loggers.read_text("utf-8")) if self.run.loggers.exists() else {}
        for name in self.names:
            self.open_ones[name] = LOGGERS[name](self.run, self.config, step, logged, self.total, ids.get(name, ""))
        self._each(lambda logger: logger.open())
        ids |= {name: logger.id for name, logger in self.open_ones.items()}
        with replacing(self.run.loggers) as temporary:
            temporary.write_text(json.dumps(ids) + "\n", "utf-8")

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Show the values that there are."""
        finite = {name: value for name, value in values.items() if value is not None}
        self._each(lambda logger: logger.log(step, finite))

    def image(self, step: int, sheet: Image.Image) -> None:
        """Show a contact sheet of the samples."""
        self._each(lambda logger: logger.image(step, sheet))

    def close(self) -> None:
        """Close all."""
        self._each(lambda logger: logger.close())
        self.open_ones = {}

    def _each(self, action: Callable[[Logger], None]) -> None:
        for name, logger in list(self.open_ones.items()):
            try:
                action(logger)
            except ModuleNotFoundError:
                raise ValueError(f'{name} is not installed; pip install "viceversa[{EXTRAS[name]}]"') from None
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                log.warning("%s: no longer logged to (%s)", name, reason)
                del self.open_ones[name]
