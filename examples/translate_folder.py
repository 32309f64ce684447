"""Translate a folder of pictures from Python.

python examples/translate_folder.py RUN|WEIGHTS PICTURES OUT

Without arguments it takes the run and the test pictures of train_in_python.py.
"""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

from PIL import Image
from train_in_python import train

import viceversa
from viceversa.paths import list_images


def translate_folder(model: str | PathLike[str], pictures: Path, out: Path) -> int:
    """Translate every picture below a folder into the same place below another; return how many there were."""
    translate = viceversa.load(model)  # direction="BtoA" is the way back
    paths = list_images(pictures)
    for path in paths:
        target = out / path.relative_to(pictures).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            translate(image).save(target)
    return len(paths)


if __name__ == "__main__":
    example = Path("runs/example")
    if len(sys.argv) == 4:
        model, pictures, out = map(Path, sys.argv[1:])
    else:
        model, pictures, out = train(example), example / "data" / "testA", example / "translated"
    print(f"{out}: {translate_folder(model, pictures, out)} pictures")
