"""Weights & Biases. Project, account and mode come from its own environment variables (WANDB_PROJECT, WANDB_MODE)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viceversa.engine.sinks.base import Sink
from viceversa.metrics.base import MissingExtra


class WandB(Sink):
    """Goes on with the same W&B run when the training continues; W&B itself ignores steps that it has."""

    def __init__(self, run: Path, config: Mapping[str, Any], memory: dict[str, Any]) -> None:
        super().__init__(run, config, memory)
        try:
            import wandb
        except ModuleNotFoundError:
            raise MissingExtra("wandb", "wandb") from None
        self.wandb = wandb
        self.memory.setdefault("id", secrets.token_hex(4))
        self.session = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "viceversa"),
            id=self.memory["id"],
            name=run.name,
            resume="allow",
            dir=str(run),
            config=dict(config),
            settings=wandb.Settings(console="off"),  # the terminal is the progress bar's
        )
        self.last = max(self.memory.get("step", -1), self.session.step - 1 if self.session.resumed else -1)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        self.session.log(dict(values), step=step)

    def picture(self, step: int, path: Path) -> None:
        """Log the sheet."""
        self.session.log({"samples": self.wandb.Image(str(path))}, step=step)

    def flush(self) -> None:
        """Nothing to do: W&B's own process has it already."""

    def close(self) -> None:
        """Finish uploading; the run stays open for a continuation."""
        self.session.finish()
