"""How to optimise, once for all methods: carry out the updates that a method yields."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from viceversa import methods
from viceversa.config import Config, ConfigError, Direction
from viceversa.data import normalise
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.ema import Ema
from viceversa.engine.nan_guard import UpdateGuard
from viceversa.engine.optimizers import make_optimizer, rate
from viceversa.fast_cpu import accelerate, keep_memory
from viceversa.methods.base import Batch, Update
from viceversa.nets.blocks import blocks, enable_checkpointing
from viceversa.nets.layers import standardise
from viceversa.nets.weights import Card
from viceversa.seeds import altered, seed_everything

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
COMPILER = "inductor"


class Learner:
    """A method with its optimisers, its average and its step number; `steps_per_epoch` places the decay of the rate."""

    def __init__(
        self,
        config: Config,
        steps_per_epoch: int,
        dist: DistInfo = DistInfo(),
        device: torch.device = torch.device("cpu"),
    ) -> None:
        if "auto" in (config.train.precision, config.train.channels_last):
            raise ValueError("train.precision=auto: see devices.choose_precision, or name fp32 or bf16")
        self.config, self.train, self.dist = config, config.train, dist
        self.device = device
        self.steps_per_epoch = steps_per_epoch
        self.step, self.lr = 0, config.train.lr
        self.retries = 0  # how often the run had to go back to a checkpoint
        keep_memory()
        seed_everything(config.seed, rank=0, step=0)
        self.method = methods.build(config)
        self.method.to(self.device, torch.float64 if self.train.precision == "fp64" else torch.float32)
        accelerate(self.method)
        if self.train.channels_last:
            self.method.to(memory_format=torch.channels_last)
        if self.train.checkpointing:
            enable_checkpointing(self.method)
        distributed.broadcast(self.method, dist)
        self.ema = Ema(self.method.translators(), self.train.ema, config.inference)
        if self.train.compile:  # not the averages, which only sample
            _compile_blocks(self.method, device)
        self.groups = {
            name: [p for net in nets for p in net.parameters()] for name, nets in self.method.groups().items()
        }
        self.optimizers = {
            name: make_optimizer(self.train, parameters, self.device) for name, parameters in self.groups.items()
        }
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.train.precision == "fp16")
        self.update_guard = UpdateGuard(self.method)

    def start(self) -> None:
        """Begin a new run: take the weights that `init` names, if it names any."""
        methods.start_from(self.method, self.config)
        self.ema.restart(self.method.translators())

    def train_step(self, batch: Batch, stop: bool = False) -> dict[str, Tensor]:
        """Carry out one step on "A" and "B", (B, C, H, W), uint8 or in [-1, 1]; `stop` asks all processes to stop."""
        seed_everything(self.seed, self.dist.rank, self.step)
        self._set_rate()
        self.update_guard.begin()
        losses: dict[str, Tensor] = {}
        updates = self.method.step(self._placed(batch))
        while update := self._advance(updates):
            self._carry_out(update, stop)
            losses |= {name: loss.detach() for name, loss in update.losses.items()}
        self.scaler.update()
        self.update_guard.end(losses)
        self.ema.update(self.method.translators(), self.step)
        self.step += 1
        return losses

    def _advance(self, updates: Iterator[Update]) -> Update | None:
        """Run the method up to its next update, in the configured precision."""
        dtype = AUTOCAST.get(self.train.precision)
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            return next(updates, None)

    def _carry_out(self, update: Update, stop: bool = False) -> None:
        """Minimise the losses over the parameters of their group, and touch no others; skip what is not finite."""
        optimizer, parameters = self.optimizers[update.group], self.groups[update.group]
        optimizer.zero_grad()
        total = update.total
        self.scaler.scale(total).backward(inputs=parameters)  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in parameters if p.grad is not None]
        riders = total.detach(), torch.full_like(total, stop)
        loss, asked = distributed.average_gradients(gradients, self.dist, *riders)
        finite = self.update_guard.judge(update.group, loss, gradients, self.scaler.scale(torch.ones_like(loss)), asked)
        if self.scaler.is_enabled():
            gradients[0].masked_fill_(~loss.isfinite(), torch.nan)  # the scaler looks at gradients only
            self.scaler.step(optimizer)
        else:
            self.update_guard.carry_out(optimizer, finite)
        for net in self.method.groups()[update.group]:
            standardise(net)

    @property
    def seed(self) -> int:
        """The seed of data and chance: the configuration's, until the run had to go back."""
        return altered(self.config.seed, self.retries)

    @property
    def slowdown(self) -> float:
        """The factor of the learning rate: a half for each time that the run had to go back, but for the first."""
        return float(0.5 ** max(0, self.retries - 1))

    def _set_rate(self) -> None:
        rising = min(1.0, (self.step + 1) / max(1, self.train.warm_up))
        self.lr = self.train.lr * rising * rate(self.train, self.step, self.steps_per_epoch) * self.slowdown
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.lr

    def _placed(self, batch: Batch) -> Batch:
        """Move a batch to the device and normalise it there, in the configured type and memory layout."""
        layout = torch.channels_last if self.train.channels_last else torch.contiguous_format
        dtype = torch.float64 if self.train.precision == "fp64" else torch.float32
        return {
            domain: normalise(images.to(self.device, non_blocking=True)).to(dtype).contiguous(memory_format=layout)
            for domain, images in batch.items()
        }

    def finite(self) -> bool:
        """Return whether all weights, their averages and the optimisers' moments are finite numbers."""
        moments = [m for optimizer in self.optimizers.values() for s in optimizer.state.values() for m in s.values()]
        tensors = [*self.method.state_dict().values(), *self.ema.state_dict().values(), *moments]
        return all(bool(tensor.isfinite().all()) for tensor in tensors)

    def card(self, direction: Direction, *, raw: bool = False) -> Card:
        """Return what a weights file says of a translator, averaged or `raw`."""
        config, data, train = self.config, self.config.data, self.train
        channels = {"A": data.channels_a, "B": data.channels_b}
        trained = {"method": config.method["name"], "batch": train.batch, "step": self.step, "ema": train.ema}
        return Card(
            config.generator,
            channels[direction[0]],
            channels[direction[-1]],
            data.crop,
            direction,
            config.inference,
            {**trained, "raw": raw},
            bits=16 if data.scale == "auto" else int(data.scale.removesuffix("bit")),
        )


def _compile_blocks(net: nn.Module, device: torch.device) -> None:
    """Have the blocks of all generators compiled when they are first used; ConfigError where no compiler is found.

    Names and keys stay. Discriminators are not compiled: gradient penalties differentiate them twice.
    """
    compilers = filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++", "cl"))
    if device.type == "cpu" and COMPILER == "inductor" and not any(map(shutil.which, compilers)):
        raise ConfigError("train.compile=true: needs a C++ compiler; install one (apt install g++), or leave it false")
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 256  # kinds of blocks, shapes and states of gradients of one method
    for block in blocks(net):
        block.compile(fullgraph=True, dynamic=False, backend=COMPILER)
