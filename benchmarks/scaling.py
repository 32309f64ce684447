"""What do two processes gain? Steps under torchrun, with gradients averaged, against one process.

Run it once alone and once for each number of processes; every process computes with one thread:

    python benchmarks/scaling.py [KEY=VALUE ...]
    torchrun --nproc-per-node 2 benchmarks/scaling.py [KEY=VALUE ...]

Prints, for a step of the first process, seconds by the clock and of the processor, and the share of averaging in both.
By the clock it tells something on an idle machine only.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import torch

from viceversa import load_config, methods
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner

STEPS = 8


def main() -> None:
    """Take steps on noise, and print medians."""
    torch.set_num_threads(1)
    words = ["train.precision=fp32", "train.channels_last=true", *sys.argv[1:]]
    config = methods.resolve(load_config("object", words))
    dist, cpu = DistInfo.from_env(), torch.device("cpu")
    spent = [0.0, 0.0]

    def timed(*given: Any, average: Any = distributed.average_gradients) -> Any:
        clock, processor = time.perf_counter(), time.process_time()
        result = average(*given)
        spent[0] += time.perf_counter() - clock
        spent[1] += time.process_time() - processor
        return result

    distributed.average_gradients = timed
    with distributed.process_group(dist, cpu):
        learner = Learner(config, 1, dist, cpu)
        rows = []
        for _ in range(STEPS + 1):
            size = config.train.batch, 3, config.data.crop, config.data.crop
            batch = {letter: torch.rand(size) * 2 - 1 for letter in "AB"}
            spent[:] = 0.0, 0.0
            clock, processor = time.perf_counter(), time.process_time()
            learner.train_step(batch)
            rows.append((time.perf_counter() - clock, time.process_time() - processor, *spent))
        if dist.is_main:
            clock, processor, waited, averaged = (statistics.median(column) for column in zip(*rows[1:], strict=True))
            images = dist.world_size * config.train.batch / clock
            print(
                f"{dist.world_size} processes: {clock:.3f} s a step ({images:.2f} images/s), "
                f"averaging {waited:.3f}; of the processor {processor:.3f} s, averaging {averaged:.3f}"
            )


if __name__ == "__main__":
    main()
