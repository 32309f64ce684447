"""What is imported on the way to the first step: counted in modules, as seconds differ from machine to machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import environment
from viceversa.config import to_yaml
from viceversa.methods import METHODS

ENOUGH = 450  # modules beside torch's own; some 390 are imported, and torch's compiler alone would be 870
OURS = 60
"""Files of ours, the command line's among them; what a plain training does not use is imported where it is used."""
NEEDLESS = [
    *("torch._dynamo", "torch._inductor", "sympy", "torchvision", "torchmetrics", "tensorboard", "wandb", "mlflow"),
    *("pandas", "pyarrow", "fsspec", "matplotlib", "scipy", "cv2", "onnx", "jinja2"),
]
PROBE = """
import json, sys
import torch
bare = set(sys.modules)
from viceversa.cli import main
from viceversa.engine.learner import Learner

class Stepped(Exception):
    pass

def once(self, *batch, step=Learner.train_step, **options):
    step(self, *batch, **options)
    raise Stepped

Learner.train_step = once
needless, *files = sys.argv[1:]
for path in files:
    sys.argv = ["viceversa", "train", path]
    try:
        main()
    except Stepped:
        ours = sum(name.startswith("viceversa.") for name in sys.modules)
        print(json.dumps([len(set(sys.modules) - bare), ours, [n for n in json.loads(needless) if n in sys.modules]]))
"""


def test_the_first_step_waits_for_nothing_needless(tiny: Any, tmp_path: Path) -> None:
    files = []
    for method in METHODS:
        files.append(tmp_path / f"{method}.yaml")
        config = tiny(method, "train.report=true", "data.workers=1", run=method)
        files[-1].write_text(to_yaml(config), "utf-8")
    command = [sys.executable, "-c", PROBE, json.dumps(NEEDLESS), *map(str, files)]
    env = {**environment(), "HOME": "/proc/self", "VICEVERSA_CACHE": ""}  # nor is anything stored outside the run
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
    counts = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    assert len(counts) == len(METHODS), result.stderr
    assert counts[0][0] < ENOUGH
    assert counts[0][1] <= OURS
    assert [needless for *_, needless in counts] == [[]] * len(METHODS)
