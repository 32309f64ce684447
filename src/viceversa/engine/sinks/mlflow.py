"""MLflow. Server and experiment come from its own variables, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viceversa.engine.sinks.base import Sink
from viceversa.metrics.base import MissingExtra


class MLflow(Sink):
    """Goes on with the same MLflow run when the training continues, after the last step that the server has."""

    def __init__(self, run: Path, config: Mapping[str, Any], memory: dict[str, Any]) -> None:
        super().__init__(run, config, memory)
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        except ModuleNotFoundError:
            raise MissingExtra("mlflow", "mlflow") from None
        self.metric, self.client = Metric, MlflowClient()
        if "id" not in memory:
            memory["id"] = self._begin(os.environ.get("MLFLOW_EXPERIMENT_NAME", "viceversa"))
        self.id: str = memory["id"]
        self.last = max((point.step for point in self.client.get_metric_history(self.id, "lr")), default=-1)

    def _begin(self, name: str) -> str:
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name)
        created: str = self.client.create_run(experiment, run_name=self.run.name).info.run_id
        for key, value in self.config.items():
            self.client.log_param(created, key, str(value)[:500])
        return created

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step; brackets, which MLflow does not take, become a colon."""
        now = int(time.time() * 1000)
        names = {name: re.sub(r"\[(.*)\]", r":\1", name) for name in values}
        self.client.log_batch(self.id, [self.metric(names[n], value, now, step) for n, value in values.items()])

    def picture(self, step: int, path: Path) -> None:
        """Keep the sheet among the run's artefacts."""
        self.client.log_artifact(self.id, str(path), "samples")

    def flush(self) -> None:
        """Nothing to do: each call has arrived when it returns."""

    def close(self) -> None:
        """Say that nobody works on the run now."""
        self.client.set_terminated(self.id)
