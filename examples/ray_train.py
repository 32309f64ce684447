"""Train with Ray Train: its workers are the processes, `viceversa.train` is what each of them runs.

pip install "viceversa[ray]"
python examples/ray_train.py WORKERS key=value ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def work(settings: dict[str, Any]) -> None:
    """Train in one worker; the process group is ours, so Ray's own is put away first."""
    import torch.distributed as dist

    import viceversa

    if dist.is_initialized():  # it has served: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are in the environment
        dist.destroy_process_group()
    viceversa.train(viceversa.load_config(settings["preset"], settings["words"]))


def train(preset: str, words: list[str], workers: int = 2, gpu: bool = False, storage: Path | None = None) -> None:
    """Train in that many Ray workers. A worker that is lost is replaced, and the run continues exactly."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    run = RunConfig(failure_config=FailureConfig(max_failures=3), storage_path=storage and str(storage))
    scale = ScalingConfig(num_workers=workers, use_gpu=gpu)
    TorchTrainer(work, train_loop_config={"preset": preset, "words": words}, scaling_config=scale, run_config=run).fit()


if __name__ == "__main__":
    train("cyclegan", sys.argv[2:], workers=int(sys.argv[1]))
