"""What is not a finite number never reaches the weights.

One NaN among the gradients would spoil every weight for good. So every update is judged on the device, by its loss and
the norm of its gradients, after they were averaged over the processes: all judge the same numbers, so all agree. An
update that is not sound is skipped, on a GPU by the optimiser's own kernel (`found_inf` of fused Adam), without the
processor waiting for the device; the verdicts are read one step later, when they are there anyway.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from viceversa.methods.pool import ImagePool


@dataclass(frozen=True)
class Verdict:
    """What came to light about the step after which `step` were done."""

    step: int
    stop: bool
    """Somebody, on any process, asked to stop."""
    updates: list[str]
    """Groups whose update was skipped, on all processes."""
    losses: list[str]
    """Losses of this process that were not finite."""

    @property
    def sound(self) -> bool:
        """Whether nothing was skipped."""
        return not self.updates


@dataclass(frozen=True)
class _Pending:
    """A verdict on its way from the device."""

    step: int
    groups: list[str]
    losses: list[str]
    vector: Tensor
    event: torch.cuda.Event | None


class Guard:
    """Judges every update of a step, and undoes what the forward passes of unsound ones left in the buffers.

    `lazy` reads verdicts a step late, so that a GPU never waits; else, as on the CPU, they are known at once.
    """

    def __init__(self, method: nn.Module, device: torch.device, *, lazy: bool | None = None) -> None:
        self.device = device
        self.lazy = device.type == "cuda" if lazy is None else lazy
        pools = {id(m.images) for m in method.modules() if isinstance(m, ImagePool)}  # they mind themselves
        self._buffers = [b for b in method.buffers() if id(b) not in pools]
        self._before = [torch.empty_like(b) for b in self._buffers]
        self._none = torch.zeros((), dtype=torch.bool, device=device)
        self._pending: deque[_Pending] = deque()
        self.begin()

    def begin(self) -> None:
        """Before a step: remember what its forward passes will change, such as batch norm's statistics."""
        for before, buffer in zip(self._before, self._buffers, strict=True):
            before.copy_(buffer)
        self._faults: dict[str, Tensor] = {}
        self._stop = self._none

    def judge(self, group: str, loss: Tensor, gradients: list[Tensor], scale: Tensor, asked: Tensor) -> Tensor:
        """Return, on the device, whether loss and gradients are finite: if not, the update must not be carried out.

        Gradients that overflow only because they are scaled up (fp16, `scale` above 1) are the scaler's to handle.
        `asked` is above 0 if any process was asked to stop.
        """
        finite_loss, finite = loss.isfinite(), get_total_norm(gradients).isfinite()
        fault = ~(finite_loss & (finite | (scale > 1)))
        self._faults[group] = fault | self._faults.get(group, fault)
        self._stop = asked > 0
        return finite_loss & finite

    def carry_out(self, optimizer: torch.optim.Optimizer, sound: Tensor) -> None:
        """Take the optimiser's step if the update is sound."""
        if self.lazy and optimizer.defaults.get("fused"):
            optimizer.found_inf = (~sound).float()  # type: ignore[attr-defined]
            optimizer.step()
            del optimizer.found_inf  # type: ignore[attr-defined]
        elif sound:  # here a GPU would be waited for
            optimizer.step()

    def end(self, step: int, losses: dict[str, Tensor]) -> None:
        """After step number `step` (counted from 1): put buffers back if it was not sound; send the verdict."""
        faults = list(self._faults.values())
        fault = torch.stack([self._none, *faults]).any()
        if self.lazy or fault:
            for before, buffer in zip(self._before, self._buffers, strict=True):
                buffer.copy_(torch.where(fault, before, buffer))
        wrong = [~loss.isfinite().all() for loss in losses.values()]
        vector = torch.stack([self._stop, *faults, *wrong]).to("cpu", non_blocking=self.lazy)
        event = None
        if self.lazy and self.device.type == "cuda":
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._pending.append(_Pending(step, list(self._faults), list(losses), vector, event))

    def read(self, *, settle: bool) -> list[Verdict]:
        """Return the verdicts that are there; `settle` waits for those of all steps."""
        late = 1 if self.lazy and not settle else 0
        return [self._oldest() for _ in range(len(self._pending) - late)]

    def forget(self) -> None:
        """Drop the verdicts that were not read: their steps are undone."""
        self._pending.clear()

    def _oldest(self) -> Verdict:
        pending = self._pending.popleft()
        if pending.event is not None:
            pending.event.synchronize()
        stop, *flags = pending.vector.tolist()
        wrong = [name for name, flag in zip([*pending.groups, *pending.losses], flags, strict=True) if flag]
        skipped = sum(flags[: len(pending.groups)])
        return Verdict(pending.step, stop, wrong[:skipped], wrong[skipped:])
