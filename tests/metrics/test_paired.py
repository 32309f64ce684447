import math
import warnings
from pathlib import Path

import numpy as np
import pooch
import pytest
import skimage.data
import torch

from viceversa.metrics import make_metrics
from viceversa.metrics.base import Download
from viceversa.metrics.paired import ALEXNET, Lpips, l1, psnr, ssim


def flat(value: int) -> np.ndarray:
    return np.full((4, 5, 3), value, np.uint8)


def cats() -> tuple[np.ndarray, np.ndarray]:
    cat = skimage.data.chelsea()[40:168, 100:228]
    noise = np.random.default_rng(0).normal(0, 20, cat.shape)
    return cat, (cat + noise).clip(0, 255).astype(np.uint8)


def batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].double()


def test_psnr_and_l1_by_hand() -> None:
    assert psnr(flat(100), flat(110)) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(flat(0), flat(255)) == 0
    assert psnr(flat(7), flat(7)) == math.inf
    assert l1(flat(100), flat(151)) == pytest.approx(0.2)
    assert l1(flat(151), flat(100)) == pytest.approx(0.2), "unsigned numbers do not wrap around"
    half = flat(0)
    half[:2] = 255
    assert l1(half, flat(0)) == pytest.approx(0.5)


def test_psnr_and_ssim_are_torchmetrics() -> None:
    """To eight digits; of SSIM's map the part where the window lies inside, which is what its authors average."""
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    cat, noisy = cats()
    theirs = peak_signal_noise_ratio(batch(noisy), batch(cat), data_range=(0.0, 255.0))
    assert psnr(noisy, cat) == pytest.approx(theirs.item(), rel=1e-6)
    _, full = structural_similarity_index_measure(batch(noisy), batch(cat), data_range=255.0, return_full_image=True)
    assert ssim(noisy, cat) == pytest.approx(full[..., 5:-5, 5:-5].mean().item(), rel=1e-8)
    assert ssim(cat, cat) == 1


def test_lpips_is_its_authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an AlexNet that has learned nothing, since the learned one is not ours to carry; to five digits."""
    import lpips
    from torchvision.models import alexnet

    torch.manual_seed(0)
    net = alexnet(weights=None)
    path = tmp_path / "checkpoints" / ALEXNET.path.name
    path.parent.mkdir()
    torch.save(net.state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    known = Download(ALEXNET.url, pooch.file_hash(str(path)))
    monkeypatch.setattr("viceversa.metrics.paired.ALEXNET", known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision has renamed an argument that the authors' code uses
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trained = {key.removeprefix("features."): value for key, value in net.state_dict().items() if "features" in key}
    theirs.net.load_state_dict({key: trained[key.split(".", 1)[1]] for key in theirs.net.state_dict()})
    cat, noisy = cats()
    expected = theirs(batch(noisy).float() / 127.5 - 1, batch(cat).float() / 127.5 - 1).item()
    ours = Lpips()
    assert ours(noisy, cat) == pytest.approx(expected, rel=1e-5)
    assert ours(cat, cat) == pytest.approx(0, abs=1e-6)


def test_values_are_means_with_their_deviation() -> None:
    [metric] = make_metrics(["psnr"])
    found = metric.compute(metric.statistics([flat(110), flat(120)], [flat(100)] * 2), None)
    assert found.value == pytest.approx(10 * math.log10(255**2 / 100) - 10 * math.log10(2), abs=1e-9)
    assert found.spread == pytest.approx(10 * math.log10(2), abs=1e-9)
    assert found.facts["pictures"] == 2


@pytest.mark.parametrize("metric", [psnr, l1, ssim])
def test_what_cannot_be_compared_is_refused(metric) -> None:
    with pytest.raises(ValueError, match="same shape"):
        metric(flat(1), flat(1)[:, :, :1])  # would broadcast
    with pytest.raises(ValueError, match="uint8"):
        metric(flat(1).astype(np.float32), flat(1))
    with pytest.raises(ValueError, match="11 pixels"):  # as wide as its window
        ssim(flat(1), flat(2))
