"""What `data check` finds: each defect, put into sound images one at a time, is named; sound images are not."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import save
from viceversa.config import DataConfig
from viceversa.data.check import Finding, Report, check
from viceversa.data.check.findings import separability

SMALL = DataConfig(load=36, crop=32)
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def image(seed: int, side: int = 40) -> np.ndarray:
    """Blobs of colour: (side, side, 3) uint8, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two domains of 12 sound images each, and 2 test images."""
    for number, (folder, count) in enumerate({"trainA": 12, "trainB": 12, "testA": 2, "testB": 2}.items()):
        for i in range(count):
            save(tmp_path / folder / f"{i}.png", image(100 * number + i))
    return tmp_path


def report(root: Path, **data: object) -> Report:
    return check(dataclasses.replace(SMALL, root=str(root), **data))


def kinds(found: Report) -> dict[str, Finding]:
    named = {finding.kind: finding for finding in found.findings}
    assert len(named) == len(found.findings)
    return named


def names(finding: Finding) -> set[str]:
    return {Path(file).name for file in finding.files}


def test_sound_images_are_only_few(root: Path) -> None:
    found = report(root)
    assert set(kinds(found)) == {"few"}
    assert found.errors == 0
    assert found.note == "unpaired: 12 A, 12 B; test split: 2 A, 2 B"
    assert found.domains == ("A: 14 of 40x40; 14 of RGB", "B: 14 of 40x40; 14 of RGB")


def test_many_defects_come_worst_first_also_by_several_processes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repaint(root, "testA", lambda pixels, rng: (pixels[:, :, 0].astype(np.float32) - 100) * 3, ".tif")
    save(root / "trainA" / "b.jp2", image(50)).rename(root / "trainA" / "b.png")
    save(root / "trainA" / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_S.png", image(0, side=20))
    (root / "trainA" / "0.png").write_bytes(b"")
    (root / "testB" / "1.png").write_bytes(b"<html>404</html>")
    cut = root / "trainB" / "6.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    save(root / "trainA" / "one.png", np.full((40, 40, 3), (9, 200, 30), np.uint8))
    save(root / "trainB" / "line.png", image(6)[:3])
    save(root / "trainA" / "again.bmp", image(3))  # another format, the same pixels
    save(root / "testA" / "leak.png", image(4))
    save(root / "trainB" / "guest.png", image(5))
    save(root / "extra" / "x.png", image(1))
    save(root / ".hidden" / "y.png", image(2))
    (root / "trainA" / "phone.heic").touch()
    (root / "trainA" / "gone.png").symlink_to("nowhere.png")
    found = report(root)
    assert [(f.severity, f.kind, names(f)) for f in found.findings] == [
        ("error", "broken", {"0.png", "1.png", "6.png"}),
        ("error", "flat", {"one.png"}),
        ("error", "leak", {"4.png", "leak.png"}),
        ("warning", "tiny", {"line.png"}),
        ("warning", "both-domains", {"5.png", "guest.png"}),
        ("warning", "copies", {"3.png", "again.bmp"}),
        ("warning", "few", set()),
        ("warning", "foreign", {"phone.heic"}),
        ("note", "changed", {"0.tif", "1.tif", "b.png"}),
        ("note", "unused", {"x.png"}),
    ]
    assert found.errors == 3
    assert "the file is empty" in found.findings[0].what
    assert re.findall(r"\d+", found.findings[8].what) == ["3", "2", "1"]
    assert [f["count"] for f in found.tree()["findings"]] == [3, 1, 2, 1, 2, 2, 0, 1, 3, 1]
    counted: list[int] = []

    def track(items: Iterator[object], total: int) -> Iterator[object]:
        counted.append(total)
        yield from items

    monkeypatch.setattr("viceversa.data.check.look.FEW", 3)
    assert check(dataclasses.replace(SMALL, root=str(root)), track=track) == found
    assert counted == [34]


def repaint(root: Path, folder: str, change: Change, suffix: str = ".png") -> None:
    rng = np.random.default_rng(len(folder))
    for path in sorted((root / folder).iterdir()):
        pixels = change(np.asarray(Image.open(path)), rng)
        path.unlink()
        save(path.with_suffix(suffix), pixels)


DARK = {
    "12 bits": (lambda pixels, rng: pixels[:, :, 0].astype(np.uint16) * 16 + 15, "data.scale=12bit"),
    "10 bits": (lambda pixels, rng: pixels[:, :, 1].astype(np.uint16) * 4 + 3, "data.scale=10bit"),
    "8 bits": (lambda pixels, rng: pixels[:, :, 1].astype(np.uint16), "save them brighter"),
    "two classes": (lambda pixels, rng: pixels[:, :, 0] // 128, "class indices"),
    "noise of two classes": (lambda pixels, rng: rng.integers(0, 2, (40, 40), np.uint8), "class indices"),
    "20 classes": (lambda pixels, rng: np.kron(rng.integers(0, 20, (5, 5), np.uint8), np.ones((8, 8), np.uint8)),
                   "class indices"),
    "classes in 16 bits": (lambda pixels, rng: pixels[:, :, 0].astype(np.uint16) // 40, "class indices"),
    "classes as gray RGB": (lambda pixels, rng: (pixels[:, :, :1] // 64).repeat(3, axis=2), "class indices"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DARK)
def test_what_is_only_stored_dark_is_not_to_be_removed(root: Path, kind: str) -> None:
    change, remedy = DARK[kind]
    for folder in ("trainA", "testA"):
        repaint(root, folder, change)
    found = kinds(report(root))
    assert remedy in found["dark"].remedy
    assert len(found["dark"].files) == 14
    assert not {"flat", "leak", "copies", "both-domains", "leak-near"} & found.keys()
    if remedy.startswith("data.scale="):
        assert "dark" not in kinds(report(root, scale=remedy.removeprefix("data.scale=")))


def test_dark_photos_and_black_images_are_neither(root: Path) -> None:
    repaint(root, "trainA", lambda pixels, rng: pixels // 4 + rng.integers(0, 3, pixels.shape, np.uint8))
    save(root / "trainB" / "black.png", np.zeros((40, 40), np.uint8))
    found = kinds(report(root))
    assert "dark" not in found
    assert names(found["flat"]) == {"black.png"}


NEAR = {
    "jpeg": lambda image: image,
    "resized": lambda image: image.resize((48, 48), Image.Resampling.BICUBIC),
    "brighter": lambda image: image.point(lambda value: min(value + 2, 255)),
}


@pytest.mark.parametrize("how", NEAR)
def test_near_copies_are_found_and_other_images_are_not(root: Path, how: str) -> None:
    original = Image.fromarray(image(4, side=64))
    original.save(root / "trainA" / "4.png")
    NEAR[how](original).save(root / "testA" / "leak.jpg", quality=60 if how == "jpeg" else 90)
    save(root / "trainA" / "other colours.png", np.ascontiguousarray(image(4)[:, :, [1, 0, 2]]))
    found = kinds(report(root))
    assert (found["leak-near"].severity, names(found["leak-near"])) == ("warning", {"4.png", "leak.jpg"})
    assert not {"copies", "copies-near"} & found.keys()


def test_sizes_that_do_not_fit_training(root: Path) -> None:
    found = kinds(report(root, load=72, crop=64))
    assert "14 of 14 A, 1.8 times, 14 of 14 B, 1.8 times" in found["enlarged"].what
    assert found["enlarged"].remedy == "train smaller: data.load=36 data.crop=32"
    for path in (root / "trainB").iterdir():
        save(path, image(int(path.stem) + 900, side=90)[:45])
    assert "12 of 28 images are squeezed to a square (median 1 : 2.00)" in kinds(report(root))["squeezed"].what
    assert "squeezed" not in kinds(report(root, resize="short_side"))


def test_uneven_domains(root: Path) -> None:
    for i in range(12, 60):
        save(root / "trainB" / f"{i}.png", image(3000 + i))
    assert kinds(report(root))["balance"].what.startswith("B has 5 times the images of A")


def framed(pixels: np.ndarray, value: int) -> np.ndarray:
    frame = np.full_like(pixels, value)
    frame[8:-8, 8:-8] = pixels[8:-8, 8:-8]
    return frame


GAPS: dict[str, tuple[Change, str]] = {
    "brightness": (lambda pixels, _: pixels // 3, ".png"),
    "brightness of the border": (lambda pixels, _: framed(pixels, 15), ".png"),
    "sharpness": (lambda pixels, rng: pixels // 2 + rng.integers(0, 99, pixels.shape, np.uint8), ".png"),
    "short side": (lambda pixels, _: np.asarray(Image.fromarray(pixels).resize((90, 90))), ".png"),
    "JPEG": (lambda pixels, _: pixels, ".jpg"),
}


@pytest.mark.parametrize("number", GAPS)
def test_numbers_that_tell_the_domains_apart(root: Path, number: str) -> None:
    for folder in ("trainB", "testB"):
        repaint(root, folder, *GAPS[number])
    gap = kinds(report(root))["gap"]
    assert number in gap.what
    assert gap.severity == "warning"
    assert ("generator.mask=true" in gap.remedy) == ("border" in gap.what)
    assert "gap" not in kinds(report(root, layout="paired"))  # there the partner says what changes


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1, 2, 3], [4, 5], 1), ([4, 5], [1, 2, 3], 1), ([1, 1], [1, 1], 0.5), ([1, 3], [2, 2], 0.5)],
)
def test_separability_is_the_area_under_the_roc(a: list[float], b: list[float], expected: float) -> None:
    assert separability(a, b) == expected


# --- pairs


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Twenty pairs: bars on a ground, drawn in other colours in the other domain."""
    for i in range(20):
        rough = np.random.default_rng(i).integers(0, 256, (14, 14), np.uint8)
        edges = np.asarray(Image.fromarray(rough).resize((64, 64), Image.Resampling.BICUBIC)) > 128
        pixels = image(i, side=64)
        save(tmp_path / "A" / f"{i}.png", np.where(edges[:, :, None], pixels, 255 - pixels))
        save(tmp_path / "B" / f"{i}.png", np.where(edges[:, :, None], (30, 60, 90), (220, 200, 140)).astype(np.uint8))
    return tmp_path


def shuffled(pairs: Path) -> None:
    for i in range(20):
        (pairs / "B" / f"{i}.png").rename(pairs / "B" / f"moved_{(7 * i + 3) % 20}.png")
    for path in (pairs / "B").iterdir():
        path.rename(path.with_name(path.name.removeprefix("moved_")))


WRONG: dict[str | None, Callable[[Path], object]] = {
    None: lambda pairs: None,
    "unlike": shuffled,
    "shifted": lambda pairs: repaint(pairs, "B", lambda pixels, _: np.roll(pixels, (0, 4), (0, 1))),
    "shapes": lambda pairs: save(pairs / "B" / "0.png", image(0, side=64)[:40]),
    "unused": lambda pairs: save(pairs / "A" / "alone.png", image(77, side=64)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_pairs_are_found_wrong_in_the_one_way_that_they_are(pairs: Path, kind: str | None) -> None:
    WRONG[kind](pairs)
    found = kinds(report(pairs, layout="paired"))
    assert WRONG.keys() & found.keys() == {kind} - {None}
    expected = {"shapes": {"0.png"}, "unused": {"alone.png"}}
    if kind in expected:
        assert names(found[kind]) == expected[kind]
    if kind == "shifted":
        assert "+6.2 % of the width, +0.0 % of the height" in found[kind].what
