"""What a run is made of: frozen dataclasses. The attribute docstrings are the only description of an option."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer

Inference: TypeAlias = Literal["running", "image", "original"]


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


def as_time(text: str | None) -> str | None:
    """Return `10 minutes` as it is; raise ValueError for what is no time."""
    if text is not None and not re.fullmatch(r"(?!0)[0-9]{1,6} (second|minute|hour|day)s?", text):
        raise ValueError(f'{text!r} is no time; write "10 minutes" or "1 hour"')
    return text


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


T = TypeVar("T")
MAY_CHANGE = "may change when a run continues"
MayChange = Annotated[T, MAY_CHANGE]
"""A key whose value may differ when a run is continued: no step's result depends on it, or only its length does."""
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Names = Annotated[tuple[T, ...], BeforeValidator(as_names), PlainSerializer(list)]
Span = Annotated[Duration, BeforeValidator(Duration.parse), PlainSerializer(str)]
Share = Annotated[float, Field(ge=0, lt=1)]
Component = Annotated[dict[str, Any], BeforeValidator(as_component), AfterValidator(frozen)]


class Section:
    """A part of the configuration. An unknown key is an error, never ignored."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class InitConfig(Section):
    """How weights are initialised."""

    scheme: Literal["normal", "xavier", "kaiming", "orthogonal"] = "normal"
    """Distribution of the convolutions' initial weights."""
    gain: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation (normal) or gain (xavier, orthogonal); kaiming does not use it."""
    AtoB: str | None = None
    """For fine-tuning: a weights file (.safetensors) or a run that the translator A to B starts from."""
    BtoA: str | None = None
    """The same for the translator B to A."""


@dataclass(frozen=True)
class AugmentConfig(Section):
    """Random changes of the training pictures beyond crop and flip; 0 turns one off. Pairs get the same geometry."""

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to so many degrees either way; corners are filled by mirroring."""
    scale: Share = 0.0
    """Enlarge or shrink by up to this share: 0.1 is 0.9 to 1.1 times."""
    color: Share = 0.0
    """Change brightness, contrast and saturation by up to this share, each on its own."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn the colours by up to this share of the colour circle."""
    color_of: Literal["both", "A", "B"] = "both"
    """Domains that color and hue change. With pairs name one: changing both would make the true answer wrong."""
    cutout: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Blank a square of up to this share of the crop's side."""


@dataclass(frozen=True)
class DataConfig(Section):
    """Where the pictures are and how they are prepared."""

    root: MayChange[str | None] = None
    """Folder of the data set, or its address (https://, s3://, hf://, ...). Its layout is recognised (docs/data.md)."""
    manifest: str | None = None
    """List of pictures (.csv: a, b, split) with paths relative to root, or to its own folder."""
    a: MayChange[str | None] = None
    """Any folder with the pictures of domain A, or one picture (instead of root)."""
    b: MayChange[str | None] = None
    """The same for domain B."""
    layout: Literal["auto", "manifest", "shards", "unpaired", "paired", "aligned"] = "auto"
    """Of the files; auto recognises it. paired: by name; aligned: A|B side by side in one file (docs/data.md)."""
    pair_pattern: str | None = None
    """Regular expression for the names of paired files; its group is what partners share: (.+?)(?:_mask)? and so on."""
    paired_test: bool = False
    """Unpaired data only: testA and testB show the same scenes under the same names, so the true answers are known."""
    test_fraction: Share = 0.05
    """Part of the pictures held out for testing (by a hash of the name) when the data has no test split."""
    resize: Literal["stretch", "short_side", "none"] = "stretch"
    """stretch to load x load as the originals do, bring the short side to load, or leave the size alone."""
    load: Count = 286
    """Pixels that pictures are resized to before the crop."""
    crop: Count = 256
    """Pixels of the random square crop that the networks see."""
    flip: bool = True
    """Mirror left and right at random, half of the time."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Further random changes of the training pictures."""
    decay_crop: bool = True
    """Keep cropping at random while the learning rate falls; CUT's code shows whole pictures then (load = crop)."""
    channels_a: Count = 3
    """Channels of domain A: 1 gray, 3 RGB, 4 RGBA, or as many as its files have."""
    channels_b: Count = 3
    """Channels of domain B."""
    scale: Literal["auto", "9bit", "10bit", "11bit", "12bit", "13bit", "14bit", "15bit"] = "auto"
    """Bits that are used of 16-bit files; 12bit makes 4095 white."""
    workers: MayChange[Natural] = 1
    """Processes that read pictures; 0 reads in the training process. Never affects a result."""
    may_change: MayChange[bool] = False
    """Continue a run although its training pictures have changed. It then continues, but not exactly."""


@dataclass(frozen=True)
class TrainConfig(Section):
    """How long, how fast and how exactly to train."""

    budget: Annotated[str | None, AfterValidator(as_time)] = None
    """Time to train for, such as 10 minutes or 8 hours; size, width, batch and length are chosen unless typed."""
    length: MayChange[Span] = Duration(200, "epochs")
    """Length of the training. An epoch is one pass over the larger domain."""
    decay: MayChange[Span] = Duration(100, "epochs")
    """The last part of the training, in which the learning rate falls."""
    batch: MayChange[Count] = 1
    """Pictures of each domain per step and process. Times the number of processes, it must not change in a run."""
    optimizer: Literal["adam", "sgd", "ngd"] = "adam"
    """adam as in the papers; plain sgd for parity tests; ngd, normalised gradient descent, for method.contrast=ence."""
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Learning rate."""
    warm_up: Natural = 0
    """Steps over which the learning rate rises to its full height."""
    betas: Annotated[tuple[Share, Share], PlainSerializer(list)] = (0.5, 0.999)
    """Adam's decay rates of the first and second moments."""
    schedule: Literal["linear", "cosine", "step", "constant"] = "linear"
    """How the learning rate falls during decay: linear or cosine to zero, step to a tenth, or not."""
    step_every: Span | None = None
    """With schedule=step: time after which the learning rate falls to a tenth once more; null: only once."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp64"] = "fp32"
    """bf16, fp16: by autocast; fp64: for proofs. auto: bf16 where the hardware multiplies it, else fp32; it is kept."""
    channels_last: Literal["auto"] | bool = False
    """Keep images as (B, H, W, C) in memory: the same mathematics, faster with bf16 and fp16, where auto does it."""
    compile: bool = False
    """Compile the generators' blocks, which takes minutes: may pay in long trainings on a GPU, not on a CPU."""
    checkpointing: MayChange[bool] = False
    """Keep only the input of each generator block and recompute the rest for the gradients: less memory, more time."""
    ema: Share = 0.999
    """Decay of the exponential moving average of the translators; 0 turns it off."""
    threads: Natural = 0
    """CPU threads; 0 leaves the number to torch. Small networks on a busy machine are fastest with 1."""
    device: MayChange[str] = "auto"
    """auto takes the first available of cuda, mps, cpu."""
    save_every: MayChange[Span] = Duration(500, "steps")
    """Time between checkpoints."""
    keep: MayChange[Count] = 3
    """Checkpoints kept; older ones are deleted."""
    sample_every: MayChange[Span] = Duration(500, "steps")
    """Time between samples: translations of the same test images. Those of at most 200 steps are kept."""
    samples: MayChange[Count] = 6
    """Test images of each domain that are translated as samples."""
    evaluate_every: MayChange[Span] = Duration(0, "steps")
    """Time between evaluations on the test pictures; 0 steps: none. Does not affect the training."""
    metrics: MayChange[Names[str]] = ("kid",)
    """What to compute then: kid, fid, cycle; with paired test pictures psnr, ssim, lpips, l1."""
    best_by: MayChange[str] = ""
    """Metric by which the best weights are kept, as weights/best-AtoB.safetensors; empty: the first of metrics."""
    log_to: MayChange[Names[Literal["tensorboard", "wandb", "mlflow"]]] = ()
    """Also log losses, scores and samples to: tensorboard, wandb, mlflow."""
    report: MayChange[bool] = True
    """Write report.html, the run on one page, at every sample."""
    log_every: MayChange[Span] = Duration(50, "steps")
    """Time between lines of log.jsonl; losses are averaged over it."""
    max_skips: MayChange[Count] = 5
    """Consecutive steps skipped for a loss or gradient that is not finite, before the run goes back to a checkpoint."""
    max_rollbacks: MayChange[Natural] = 3
    """Times the run may go back to its last checkpoint, with other random numbers, before it gives up."""

    def decay_start(self, steps_per_epoch: int) -> int:
        """Return the step, counted from 0, at which the last part of the training begins."""
        return max(0, self.length.steps(steps_per_epoch) - self.decay.steps(steps_per_epoch))


@dataclass(frozen=True)
class Config(Section):
    """Everything that determines a run."""

    run: MayChange[str] = ""
    """Folder of the run; empty: runs/METHOD-DATA."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Determines the first weights, order of the data, crops, flips, dropout and pools."""
    method: Component = field(default_factory=lambda: {"name": "cyclegan"})
    """The training method and its options."""
    generator: Component = field(default_factory=lambda: {"name": "resnet"})
    """The network that translates, and its options."""
    discriminator: Component = field(default_factory=lambda: {"name": "patchgan"})
    """The network that tells real from translated, and its options."""
    objective: Component = field(default_factory=lambda: {"name": "lsgan"})
    """The adversarial loss and its options."""
    init: InitConfig = InitConfig()
    """Initial weights."""
    inference: MayChange[Inference] = "running"
    """Batch norm translates by statistics of the training (running) or the picture (image); original adds dropout."""
    data: DataConfig = DataConfig()
    """The pictures."""
    train: TrainConfig = TrainConfig()
    """The training."""
