"""What a training saves: checkpoints, for itself, and its translators, for `viceversa translate`.

A checkpoint holds all that the next step depends on. A new piece of state is a line in `gather` and one in `restore`.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from viceversa.config import Config, ConfigError, Direction, explain
from viceversa.data import TrainLoader
from viceversa.engine.checkpoint_files import State
from viceversa.engine.learner import Learner
from viceversa.engine.nan_guard import NanGuard
from viceversa.engine.optimizers import remembers_what_it_must
from viceversa.engine.resume import refuse_other_images
from viceversa.engine.run_dir import RunDir
from viceversa.engine.run_log import Meter
from viceversa.methods.base import Method
from viceversa.methods.pool import ImagePool
from viceversa.nets.weights import Card, save_generator


class TrainState:
    """Gathers the state of a training, `shared` by all processes and each one's `own`, and puts it back."""

    def __init__(self, run: RunDir, learner: Learner, guard: NanGuard, loader: TrainLoader) -> None:
        self.run, self.learner, self.guard, self.loader = run, learner, guard, loader
        self.meter = Meter()
        self.images = learner.train.batch * learner.dist.world_size
        """Images of each domain that a step takes, in all processes."""

    def gather(self) -> tuple[State, State]:
        """Return what is the same in all processes, and what each has for itself."""
        learner, pools = self.learner, _pools(self.learner.method)
        shared = {
            "step": learner.step,
            "images": self.images,
            "pictures": self.loader.fingerprint(),
            "method": {key: value for key, value in learner.method.state_dict().items() if key not in pools},
            "ema": learner.ema.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in learner.optimizers.items()},
            "scaler": learner.scaler.state_dict(),
            "plateau": learner.plateau.state_dict(),
            "nan_guard": self.guard.state_dict(),
        }
        own = {"pools": pools, "meter": self.meter.totals}
        return shared, own

    def restore(self, shared: State, own: State) -> None:
        """Return to a saved state. Raises ConfigError if it is another training's, or no state at all."""
        learner = self.learner
        try:
            self._compare(shared)
            learner.method.load_state_dict({**shared["method"], **own["pools"]})
            learner.ema.load_state_dict(shared["ema"])
            if shared["optimizers"] is not None:  # None in a fork with another optimiser
                for name, optimizer in learner.optimizers.items():
                    optimizer.load_state_dict(shared["optimizers"][name])
                    for group in optimizer.param_groups:
                        group.update(optimizer.defaults)  # moments are the checkpoint's, the rule the configuration's
                    if not remembers_what_it_must(optimizer):
                        raise ValueError(f"optimizers.{name} lacks moments")
            if shared["scaler"]:  # empty where another precision was used
                learner.scaler.load_state_dict(_numbers(shared["scaler"]))
            learner.plateau.load_state_dict(_numbers(shared["plateau"]))
            self.guard.load_state_dict(shared["nan_guard"])
            if shared["step"] < 0:
                raise ValueError("step: less than none")
            learner.step, learner.retries = operator.index(shared["step"]), len(self.guard.rollbacks)
            self.meter.load(own["meter"])
        except ConfigError:
            raise
        except ValidationError as error:
            raise ConfigError(f"{self.run}: its checkpoint is damaged ({explain(error.errors()[0])})") from None
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
            raise ConfigError(
                f"{self.run}: its checkpoint is of other networks ({reason}); a new run can start from its "
                "translators: init.AtoB=RUN init.BtoA=RUN"
            ) from None

    def _compare(self, shared: State) -> None:
        """Raise ConfigError if a step would see other images than before."""
        config, dist = self.learner.config, self.learner.dist
        if not config.data.may_change:
            refuse_other_images(self.run, shared["pictures"], self.loader.fingerprint())
        if shared["images"] not in (None, self.images):
            raise ConfigError(
                f"{self.run}: took {shared['images']} pictures of each domain a step, and would take {self.images} "
                f"with train.batch={config.train.batch} in {dist.world_size} processes; the product must not change"
            )


def _numbers(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state; raise ValueError unless it holds numbers: a file may be a stranger's."""
    if not all(isinstance(value, int | float) for value in state.values()):
        raise ValueError(f"{', '.join(state)}: no numbers")
    return state


def _pools(method: Method) -> dict[str, Tensor]:
    """Return the memories of past translations, which differ from process to process."""
    names = [name for name, module in method.named_modules() if isinstance(module, ImagePool)]
    return {key: value for key, value in method.state_dict().items() if key.rpartition(".")[0] in names}


def save_weights(run: RunDir, learner: Learner) -> None:
    """Write each translator, averaged and raw (`weights/AtoB.safetensors`, `weights/AtoB.raw.safetensors`)."""
    networks = {"": learner.ema.translators(), ".raw": learner.method.translators()}
    for kind, translators in networks.items():
        for direction, net in translators.items():
            card = _card(learner.config, direction, learner.step, raw=bool(kind))
            save_generator(run.weights / f"{direction}{kind}.safetensors", net, card)


def save_best(run: Path, learner: Learner, direction: Direction, scores: dict[str, float]) -> None:
    """Write an averaged translator, with what it scored, to `weights/best-AtoB.safetensors` (or `best-BtoA`)."""
    card = _card(learner.config, direction, learner.step, raw=False)
    card.trained["scores"] = scores
    save_generator(run / "weights" / f"best-{direction}.safetensors", learner.ema.translators()[direction], card)


def _card(config: Config, direction: Direction, step: int, *, raw: bool) -> Card:
    source, target = direction.split("to")
    channels = {"A": config.data.channels_a, "B": config.data.channels_b}
    return Card(
        config.generator,
        channels[source],
        channels[target],
        config.data.crop,
        direction,
        config.inference,
        {
            **{"method": config.method["name"], "batch": config.train.batch, "step": step},
            **{"ema": config.train.ema, "raw": raw},
        },
        bits=16 if config.data.scale == "auto" else int(config.data.scale.removesuffix("bit")),
    )
