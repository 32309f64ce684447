"""What Prometheus is told; of several processes, the sums.

The processes share the folder that PROMETHEUS_MULTIPROC_DIR names before this is imported.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
ANSWERS = Counter("viceversa_answers", "Answers to POST /translate.", ["status"])
SECONDS = Histogram("viceversa_answer_seconds", "From a whole upload to its answer.")
PENDING = Gauge("viceversa_pending", "Pictures that were taken and are not answered.", multiprocess_mode="livesum")
BATCH_SECONDS = Histogram("viceversa_batch_seconds", "Computing a batch.")
BATCH_IMAGES = Histogram("viceversa_batch_images", "Images of a batch.", buckets=(1, 2, 4, 8, 16))


def exposition() -> bytes:
    """Return all metrics as Prometheus reads them."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    for file in Path(os.environ[FOLDER]).glob("gauge_live*_*.db"):  # gauge_livesum_PID.db
        if not psutil.pid_exists(pid := int(file.stem.rpartition("_")[2])):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
