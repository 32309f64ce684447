import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from viceversa import methods
from viceversa.config import Config, ConfigError, load_config
from viceversa.engine.learner import Learner
from viceversa.losses.variational import kl
from viceversa.methods.base import Batch
from viceversa.methods.cyclegan_vae import CycleGANVAE
from viceversa.nets import GENERATORS, VariationalGenerator

NAMES = {name for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator)}
MEANS = "method.sample=false"


def configure(*overrides: str, generator: str = "resnet_vae") -> Config:
    sizes = [f"generator={generator}", "generator.width=4", *["generator.latent=4"] * (generator in NAMES)]
    sizes += ["generator.blocks=2"] * (generator == "resnet_vae") + ["generator.depth=5"] * (generator == "unet")
    sizes += ["discriminator.width=4", "discriminator.layers=2", "data.load=32", "data.crop=32"]
    return methods.resolve(load_config("cyclegan-vae", [*sizes, "method.kl_warmup=0", *overrides]))


def build(*overrides: str, generator: str = "resnet_vae") -> CycleGANVAE:
    torch.manual_seed(0)
    return methods.build(configure(*overrides, generator=generator))


def batch(size: int = 1) -> Batch:
    noise = torch.Generator().manual_seed(0)
    return {domain: torch.rand(size, 3, 32, 32, generator=noise) * 2 - 1 for domain in "AB"}


def losses(*overrides: str, seed: int = 0) -> dict[str, Tensor]:
    method = build(*overrides)
    torch.manual_seed(seed)
    return next(method.step(batch())).losses


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("cycle_x", {"cycle_X", "identity_F"}),
        ("cycle_y", {"cycle_Y", "identity_G"}),
        ("identity", {"identity_G", "identity_F"}),
        ("reconstruction", {"reconstruction_G", "reconstruction_F"}),
        ("cross_reconstruction", {"cross_G", "cross_F"}),
        ("kl", {"kl_G", "kl_F"}),
    ],
)
def test_each_weight_weighs_its_losses_and_zero_turns_them_off(option: str, names: set[str]) -> None:
    one, other = losses(f"method.{option}=2"), losses(f"method.{option}=6")
    assert one.keys() == other.keys() >= names
    for name in one:
        assert other[name].item() == pytest.approx(one[name].item() * (3 if name in names else 1)), name
    if not option.startswith("cycle"):
        assert losses(f"method.{option}=0").keys() == one.keys() - names


@torch.no_grad()
def test_the_losses_are_what_they_say() -> None:
    """By hand, where codes are their means: the paper's losses, and the self-reconstruction within a domain."""
    method, (x, y) = build(MEANS, "method.cross_reconstruction=3"), batch().values()
    found = next(method.step(batch())).losses
    G, F = method.G, method.F
    fake_y, fake_x = G(x), F(y)
    wanted = {
        "gan_G": (method.D_Y(fake_y) - 1).square().mean(),
        "gan_F": (method.D_X(fake_x) - 1).square().mean(),
        "cycle_X": 10 * l1_loss(F(fake_y), x),
        "cycle_Y": 10 * l1_loss(G(fake_x), y),
        "identity_G": 5 * l1_loss(G(y), y),
        "identity_F": 5 * l1_loss(F(x), x),
        "reconstruction_G": mse_loss(G(y), y),
        "reconstruction_F": mse_loss(F(x), x),
        "cross_G": 3 * (mse_loss(fake_y, x) + mse_loss(G(fake_x), fake_x)),
        "cross_F": 3 * (mse_loss(fake_x, y) + mse_loss(F(fake_y), fake_y)),
        "kl_G": 0.1 * sum(kl(*G.encode(z)) for z in (x, fake_x, y)) / 3,
        "kl_F": 0.1 * sum(kl(*F.encode(z)) for z in (y, fake_y, x)) / 3,
    }
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].item() == pytest.approx(float(value), rel=1e-4), name


def test_kl_options() -> None:
    mean, logvar = build().G.encode(batch()["A"])
    one, numbers = [MEANS, "method.kl_on=translation"], mean[0].numel()
    translation = losses(*one)["kl_G"].item()
    assert translation == pytest.approx(0.1 * kl(mean, logvar).item(), rel=1e-4)
    assert losses(*one, "method.kl_reduction=sum")["kl_G"].item() == pytest.approx(numbers * translation, rel=1e-4)
    free = losses(*one, "method.free_bits=100")["kl_G"].item()  # four channels, all cheaper than that
    assert free == pytest.approx(0.1 * 100 * 4 / numbers, rel=1e-4)
    assert losses(MEANS, "method.identity=0", "method.reconstruction=0")["kl_G"].item() != pytest.approx(translation)


def test_kl_on_last_is_that_of_generators_that_remember_one_code() -> None:
    """They run as G(x), F(G(x)), F(y), G(F(y)), and each keeps sum(KL) of its last code, as VAEGAN's authors do."""
    options = [MEANS, "method.kl_on=last", "method.kl_reduction=sum", "method.kl=1"]
    method, (x, y) = build(*options), batch().values()
    remembered: dict[VariationalGenerator, Tensor] = {}

    def through(net: VariationalGenerator, image: Tensor) -> Tensor:
        mean, logvar = net.encode(image)
        remembered[net] = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum((1, 2, 3)).mean()
        return net(image)

    through(method.F, through(method.G, x))
    through(method.G, through(method.F, y))
    found = next(method.step(batch())).losses
    assert found["kl_G"].item() == pytest.approx(remembered[method.G].item(), rel=1e-4)
    assert found["kl_F"].item() == pytest.approx(remembered[method.F].item(), rel=1e-4)


def test_codes_are_drawn_in_training_and_never_by_a_translator() -> None:
    drawn, means = ([losses(*words, seed=seed)["cycle_X"].item() for seed in (1, 2, 1)] for words in ([], [MEANS]))
    assert drawn[0] == drawn[2] != drawn[1]
    assert means[0] == means[1]
    for translate in build().translators().values():
        assert torch.equal(translate(batch()["A"]), translate(batch()["A"]))


@pytest.mark.parametrize("generator", ["resnet", "unet"])
def test_generators_without_codes_are_refused_and_those_with_are_named(generator: str) -> None:
    with pytest.raises(ConfigError, match=r"generator\.name") as refusal:
        build(generator=generator)
    assert all(name in str(refusal.value) for name in NAMES)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("generator", sorted(NAMES))
def test_all_four_generators_train_at_ten_times_the_rate(generator: str, precision: str) -> None:
    """The original VAE1 ran to NaN."""
    learner = Learner(configure(f"train.precision={precision}", "train.lr=2e-3", generator=generator), 1)
    before = {name: value.clone() for name, value in learner.method.state_dict().items()}
    found = [learner.train_step(batch(2)) for _ in range(8)]
    assert learner.finite()
    assert all(math.isfinite(value) and value < 1e4 for step in found for value in step.values())
    after = learner.method.state_dict()
    for part in ("mean", "logvar", "encoder", "decoder"):
        assert any(not torch.equal(after[key], before[key]) for key in before if key.startswith(f"G.{part}")), part
