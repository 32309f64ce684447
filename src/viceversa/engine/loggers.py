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
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from PIL import Image

from viceversa.config import Config, flat, to_tree
from viceversa.engine.run_dir import RunDir
from viceversa.files import replacing

log = logging.getLogger("viceversa")


class Start(NamedTuple):
    """Where a training begins, or begins again: after `step` steps; steps up to `logged` were logged before."""

    step: int
    logged: int = -1


class Logger(Protocol):
    """Shows values and images by step. `id` is what it called itself when the run began, "" until then."""

    id: str

    def __init__(self, run: RunDir, config: Mapping[str, Any], start: Start, id: str) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show values by name: `loss/gan_G`, `lr`, `AtoB/kid[inception]`."""

    def image(self, step: int, sheet: Image.Image) -> None:
        """Show a contact sheet of the samples."""

    def close(self) -> None:
        """Write what waits, and leave."""


class TensorBoard:
    """Event files in RUN/tensorboard. TensorBoard drops the steps that are done again: `purge_step`."""

    def __init__(self, run: RunDir, config: Mapping[str, Any], start: Start, id: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.id = id
        self.writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=start.step + 1 if start.step else None)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def image(self, step: int, sheet: Image.Image) -> None:
        import numpy as np

        self.writer.add_image("samples", np.array(sheet), step, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class WandB:
    """WANDB_PROJECT and WANDB_MODE say where. W&B keeps what it was told; only what is new is added."""

    def __init__(self, run: RunDir, config: Mapping[str, Any], start: Start, id: str) -> None:
        import wandb

        self.id, self.start, self.to_image = id or secrets.token_hex(4), start, wandb.Image
        self.session = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "viceversa"),
            id=self.id,
            name=run.path.name,
            resume="allow",
            dir=str(run),
            config=dict(config),
            settings=wandb.Settings(console="off"),  # the terminal is the progress bar's
        )

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        if step > self.start.logged:
            self.session.log(dict(values), step=step)

    def image(self, step: int, sheet: Image.Image) -> None:
        self.log(step, {"samples": self.to_image(sheet)})

    def close(self) -> None:
        self.session.finish()


class MLflow:
    """MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where. MLflow keeps what it was told, too."""

    def __init__(self, run: RunDir, config: Mapping[str, Any], start: Start, id: str) -> None:
        import mlflow

        self.mlflow, self.start = mlflow, start
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "viceversa"))
        self.id = mlflow.start_run(id or None, run_name=run.path.name).info.run_id
        if not id:
            mlflow.log_params({key: str(value)[:500] for key, value in config.items()})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self.start.logged:  # MLflow takes no brackets in a name
            named = {re.sub(r"\[(.*)\]", r":\1", name): value for name, value in values.items()}
            self.mlflow.log_metrics(named, step, run_id=self.id)

    def image(self, step: int, sheet: Image.Image) -> None:
        self.mlflow.log_image(sheet, f"samples/step-{step:08d}.png")

    def close(self) -> None:
        self.mlflow.end_run()


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
EXTRAS = {"tensorboard": "log", "wandb": "wandb", "mlflow": "mlflow"}
"""What to install for each."""


class Loggers:
    """The loggers of a run. One that fails (a server that is down) is dropped with a warning: the training goes on."""

    def __init__(self, run: RunDir, config: Config, names: Sequence[str]) -> None:
        self.run, self.names, self.config = run, names, flat(to_tree(config))
        self.open_ones: dict[str, Logger] = {}

    def open(self, start: Start) -> None:
        """Begin, or begin again. Raises ValueError if a package is missing."""
        self.close()
        if not self.names:
            return
        ids = json.loads(self.run.loggers.read_text("utf-8")) if self.run.loggers.exists() else {}
        for name in self.names:
            try:
                self.open_ones[name] = LOGGERS[name](self.run, self.config, start, ids.get(name, ""))
                ids[name] = self.open_ones[name].id
            except ModuleNotFoundError:
                from viceversa.metrics.base import MissingExtra

                raise MissingExtra(name, EXTRAS[name]) from None
            except Exception as error:
                _warn(name, error)
        with replacing(self.run.loggers) as temporary:
            temporary.write_text(json.dumps(ids) + "\n", "utf-8")

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Show the values that there are."""
        finite = {name: value for name, value in values.items() if value is not None}
        self._each(lambda logger: logger.log(step, finite))

    def image(self, step: int, path: Path) -> None:
        """Show a contact sheet of the samples, a PNG file."""
        if self.open_ones:
            with Image.open(path) as image:
                sheet = image.convert("RGB")
            self._each(lambda logger: logger.image(step, sheet))

    def close(self) -> None:
        """Close all."""
        self._each(lambda logger: logger.close())
        self.open_ones = {}

    def _each(self, action: Callable[[Logger], None]) -> None:
        for name, logger in list(self.open_ones.items()):
            try:
                action(logger)
            except Exception as error:
                _warn(name, error)
                del self.open_ones[name]


def _warn(name: str, error: Exception) -> None:
    log.warning("%s: no longer logged to (%s)", name, " ".join(str(error).split()) or type(error).__name__)
