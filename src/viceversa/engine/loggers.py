"""Where a run is shown besides its own folder: TensorBoard, Weights & Biases, MLflow. One more is a class and a line.

Each takes project, account and server from its own environment variables. A continued run goes on in the same place;
what a logger has of steps that are done again is not logged twice.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from PIL import Image

from viceversa.engine.run_dir import RunDir


class Start(NamedTuple):
    """Where a training of `total` steps begins, or begins again: after `step`; those to `logged` were logged before."""

    step: int
    logged: int = -1
    total: int = 0


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


class Notebook:
    """A bar and the newest samples, in the cell of a notebook that trains."""

    def __init__(self, run: RunDir, config: Mapping[str, Any], start: Start, id: str) -> None:
        from IPython import display

        self.id, self.total, self.to_html = id, start.total, display.HTML
        self.bar, self.sheet = (display.display(display.HTML(""), display_id=True) for _ in range(2))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        told = "  ".join(f"{name.removeprefix('loss/')} {value:.3g}" for name, value in values.items() if name != "lr")
        bar = f'<progress style="width: 100%" value="{step}" max="{self.total}"></progress>'
        self.bar.update(self.to_html(f"{bar}<br>step {step} of {self.total}  {told}"))

    def image(self, step: int, sheet: Image.Image) -> None:
        self.sheet.update(sheet)

    def close(self) -> None:
        pass


LOGGERS: dict[str, type[Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
    "notebook": Notebook,  # by itself, in notebooks
}
EXTRAS = {"tensorboard": "log", "wandb": "wandb", "mlflow": "mlflow"}
"""What to install for each."""
