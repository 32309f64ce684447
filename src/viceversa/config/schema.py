"""What a run is made of: frozen dataclasses. The attribute docstrings are the only description of an option."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

from viceversa.config.augment import AugmentConfig

Direction: TypeAlias = Literal["AtoB", "BtoA"]
Inference: TypeAlias = Literal["running", "image", "original"]

CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)  # a key we do not know is an error, never ignored
COMPONENTS = ("method", "generator", "discriminator", "objective")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line that names the key and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


@dataclass(frozen=True)
class Duration:
    """A length of training: a number of epochs or of steps (one step is one batch)."""

    amount: int
    unit: Literal["epochs", "steps"]

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read `"200 epochs"` or `"5000 steps"`; raise ValueError for anything else."""
        if isinstance(text, Duration):
            return text
        match = re.fullmatch(r"\s*([0-9]{1,12})\s*(epoch|step)s?\s*", str(text))
        if not match:
            raise ValueError(f'{text!r} is not a duration; write "200 epochs" or "5000 steps"')
        return cls(int(match[1]), "epochs" if match[2] == "epoch" else "steps")

    def steps(self, steps_per_epoch: int) -> int:
        """Return the same length in steps."""
        return self.amount * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.amount} {self.unit if self.amount != 1 else self.unit[:-1]}"


def as_component(value: object) -> object:
    """Let `generator: unet` stand for `generator: {name: unet}`."""
    return {"name": value} if isinstance(value, str) else value


def frozen(value: Any) -> Any:
    """Return lists as tuples, so that a value read from YAML equals a constructor's default."""
    if isinstance(value, dict):
        return {key: frozen(inner) for key, inner in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def as_names(value: object) -> object:
    """Let `kid,psnr` stand for `[kid, psnr]`."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Span = Annotated[Duration, BeforeValidator(Duration.parse), PlainSerializer(str)]
Component = Annotated[dict[str, Any], BeforeValidator(as_component), AfterValidator(frozen)]


@dataclass(frozen=True)
class InitConfig:
    """How weights are drawn before training."""

    __pydantic_config__ = CLOSED

    scheme: Literal["normal", "xavier", "kaiming", "orthogonal"] = "normal"
    """Distribution of the convolutions' first weights."""
    gain: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation (normal) or gain (xavier, orthogonal); kaiming does not use it."""
    AtoB: str | None = None
    """Weights file (.safetensors), or run, from which the translator A to B starts instead, for fine-tuning."""
    BtoA: str | None = None
    """The same for the translator B to A."""


@dataclass(frozen=True)
class DataConfig:
    """Where the pictures are and how they are prepared."""

    __pydantic_config__ = CLOSED

    root: str | None = None
    """Folder of the data set, or its address (https://, s3://, hf://, ...). Its layout is recognised (docs/data.md)."""
    manifest: str | None = None
    """List of pictures (.csv, .tsv or .jsonl: a, b, split) with paths relative to root, or to its own folder."""
    a: str | None = None
    """Any folder with the pictures of world A, or one picture (instead of root)."""
    b: str | None = None
    """The same for world B."""
    layout: Literal["auto", "cache", "manifest", "shards", "single", "unpaired", "paired", "aligned"] = "auto"
    """auto says what it finds. To insist: unpaired folders, paired (two folders, same names), aligned (A|B side by side
    in a file), single (one picture a world), manifest (a list of pictures)."""
    paired_test: bool = False
    """Unpaired data only: testA and testB show the same scenes under the same names, so the true answer is known."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the pictures held out for testing (by a hash of the name) when the data has no test split."""
    resize: Literal["stretch", "short_side", "none"] = "stretch"
    """stretch to load x load as the originals do, bring the short side to load, or leave the size alone."""
    load: Annotated[int, Field(ge=1)] = 286
    """Pixels that pictures are resized to before the crop."""
    crop: Annotated[int, Field(ge=1)] = 256
    """Pixels of the random square crop that the networks see."""
    flip: bool = True
    """Mirror left and right at random, half of the time."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Further random changes of the training pictures."""
    decay_crop: bool = True
    """Go on with random crops while the learning rate falls; CUT's code shows whole pictures then (load = crop)."""
    channels_a: Annotated[int, Field(ge=1)] = 3
    """Channels of world A: 1 gray, 3 RGB, 4 RGBA, or as many as its files have."""
    channels_b: Annotated[int, Field(ge=1)] = 3
    """Channels of world B."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Background processes that read pictures; 0 reads in the training process. Never changes a result."""
    may_change: bool = False
    """Continue a run although training pictures came, went or were renamed. It then goes on, but not exactly."""


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast and how exactly to train."""

    __pydantic_config__ = CLOSED

    length: Span = Duration(200, "epochs")
    """All of the training. An epoch passes once over the larger world."""
    decay: Span = Duration(100, "epochs")
    """The last part of it, during which the learning rate falls."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Pictures of each world per step and process."""
    optimizer: Literal["adam", "sgd", "ngd"] = "adam"
    """adam as in the papers; plain sgd serves proofs of parity; ngd is normalised gradient descent, which goes with
    method.contrast=ence."""
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Learning rate."""
    betas: Annotated[tuple[float, float], PlainSerializer(list)] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    schedule: Literal["linear", "cosine", "step", "plateau", "constant"] = "linear"
    """How the learning rate falls during decay: linear or cosine to zero, step to a tenth, or not. plateau: to a fifth
    whenever the generator's losses have not fallen for as long as decay says."""
    step_every: Span | None = None
    """With schedule=step: time after which the learning rate falls to a tenth once more; null: only once."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp64"] = "fp32"
    """fp32; bf16 or fp16 by autocast (fp16 with gradient scaling); fp64 for proofs. auto tries at the start of a run
    whether bf16 is much faster on this machine, and the run keeps what it finds."""
    channels_last: Literal["auto"] | bool = False
    """Keep images as (B, H, W, C) in memory: faster with bf16 or fp16, the same mathematics. auto tries it."""
    winograd: Literal["auto"] | bool = "auto"
    """On the CPU, compute wide 3x3 convolutions (in bf16: their gradients) by Winograd's algorithm: fewer
    multiplications, the same mathematics. auto: yes, but in bf16 not on processors with matrix units (AMX); where
    precision or channels_last are tried, both are. The run keeps what is chosen."""
    compile: Literal["auto"] | bool = False
    """Let torch's compiler fuse the blocks of the generators: the same mathematics, after minutes of compiling.
    auto tries it on a GPU, for long trainings; on the CPU it takes false, as Winograd's algorithm is faster there."""
    checkpointing: bool = False
    """Keep of each block of the generators only its input, and compute the rest again for the gradients: the same
    results with less memory, in more time (activation checkpointing)."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the exponential moving average of the translators; 0 turns it off."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads for computing; 0 leaves it to torch. Small networks on a busy machine are fastest with 1."""
    device: str = "auto"
    """auto takes the first of cuda, mps, cpu that is there."""
    save_every: Span = Duration(500, "steps")
    """Time between checkpoints."""
    keep: Annotated[int, Field(ge=1)] = 3
    """Checkpoints kept; older ones are deleted."""
    sample_every: Span = Duration(500, "steps")
    """Time between sample grids."""
    samples: Annotated[int, Field(ge=1)] = 6
    """Test pictures shown in a sample grid."""
    keep_samples: Annotated[int, Field(ge=2)] = 200
    """Sample grids kept; when there are more, every second one is deleted."""
    evaluate_every: Span = Duration(0, "steps")
    """Time between measurements on the test pictures; 0 steps measures nothing. Changes nothing in the training."""
    metrics: Annotated[tuple[str, ...], BeforeValidator(as_names), PlainSerializer(list)] = ("kid",)
    """What to measure then: kid, fid, cycle, target_class[zebra]; with paired test pictures psnr, ssim, lpips, l1."""
    best_by: str = ""
    """Metric whose best value decides which weights are kept as weights/best-AtoB.safetensors; empty: the first."""
    log_to: Annotated[
        tuple[Literal["tensorboard", "wandb", "mlflow"], ...], BeforeValidator(as_names), PlainSerializer(list)
    ] = ()
    """Where to show losses, scores and samples besides the run's folder: tensorboard, wandb, mlflow."""
    report: bool = True
    """Write report.html, the run as one page, with every sample grid."""
    log_every: Span = Duration(50, "steps")
    """Time between lines of log.jsonl; losses are averaged over it."""
    max_skips: Annotated[int, Field(ge=1)] = 5
    """Steps in a row that are skipped because a loss or gradient is not finite, before the run goes back."""
    max_rollbacks: Annotated[int, Field(ge=0)] = 3
    """Times the run may go back to its last checkpoint, with other draws of data, before it gives up."""

    def decay_start(self, steps_per_epoch: int) -> int:
        """Return the step, counted from 0, at which the last part of the training begins; never, with a plateau."""
        if self.schedule == "plateau":
            return self.length.steps(steps_per_epoch)
        return max(0, self.length.steps(steps_per_epoch) - self.decay.steps(steps_per_epoch))


@dataclass(frozen=True)
class Config:
    """Everything that determines a run."""

    __pydantic_config__ = CLOSED

    run: str = ""
    """Folder of the run; empty makes it runs/METHOD-DATA."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides first weights, order of the data, crops, flips, dropout and pools."""
    method: Component = field(default_factory=lambda: {"name": "cyclegan"})
    """The training method and its options."""
    generator: Component = field(default_factory=lambda: {"name": "resnet"})
    """The network that translates, and its options."""
    discriminator: Component = field(default_factory=lambda: {"name": "patchgan"})
    """The network that judges, and its options."""
    objective: Component = field(default_factory=lambda: {"name": "lsgan"})
    """The adversarial loss and its options."""
    init: InitConfig = InitConfig()
    """First weights."""
    inference: Inference = "running"
    """How networks with batch norm or dropout translate. running: with the statistics gathered in training; image: each
    picture with its own statistics; original: as image, with dropout on, as the pix2pix authors test."""
    data: DataConfig = DataConfig()
    """The pictures."""
    train: TrainConfig = TrainConfig()
    """The training."""


@cache
def adapter() -> TypeAdapter[Config]:
    """Return what checks a Config and turns it into plain values; making it takes longer than using it."""
    return TypeAdapter(Config)
