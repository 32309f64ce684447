"""`viceversa distill`: a small generator that answers like a large one, for slow places.

The teacher translates the images of its run once; what it makes of them are pairs, on which a student trains as any
other run does.
"""

from __future__ import annotations

from pathlib import Path

import viceversa
from viceversa.config import Config, load_config
from viceversa.data import find_splits
from viceversa.data.image_data import ImageData
from viceversa.data.image_io import write_image
from viceversa.data.transforms import fitted, read_each
from viceversa.export import DistillOptions
from viceversa.export.proof import Proof, images_of, prove
from viceversa.fast_cpu import accelerate
from viceversa.files import Track, replacing_folder
from viceversa.translator import Translator

BLOCKS = 4
"""Of a student whose teacher is no ResNet."""


def distill(run: Path, out: Path, options: DistillOptions, track: Track = lambda images, total: images) -> Proof:
    """Train a student of a run in the folder `out`, and return how close to the teacher and how fast it is.

    The same call again continues. The run is only read. Raises ConfigError, ValueError or OSError, with the remedy.
    """
    teacher = Translator.load(run, options.direction, best=options.best)
    pairs = out / "teacher"
    config = student_config(run, out, teacher, options)
    if not pairs.is_dir():
        with replacing_folder(pairs) as folder:
            write_answers(load_config(run), teacher, folder, track)
    viceversa.train(config)
    student = Translator.load(out)
    accelerate(student.net)
    images, _ = images_of(out, student.card, None)
    size = (out / "weights" / f"{student.card.direction}.safetensors").stat().st_size
    return prove(teacher.net, student.net, images, pixels=False, size=size)


def student_config(run: Path, out: Path, teacher: Translator, options: DistillOptions) -> Config:
    """Return the teacher's configuration with another method, a smaller generator, and the pairs as data."""
    spec = teacher.card.generator
    small = [f"generator.width={options.width}"]
    if spec["name"] != "resnet":
        small = ["generator=resnet", *small, f"generator.blocks={options.blocks or BLOCKS}"]
    elif options.blocks is not None:
        small += [f"generator.blocks={options.blocks}"]
    method = ["method=distillation", f"method.direction={teacher.card.direction}"]
    data = [f"data.root={out / 'teacher'}", "data.a=", "data.b=", "data.manifest=", "data.layout=paired"]
    data += ["data.pair_pattern=", "data.paired_test=false", "init.AtoB=", "init.BtoA="]
    return load_config(run, [*method, *small, *data, f"run={out}", *options.overrides])


def write_answers(config: Config, teacher: Translator, folder: Path, track: Track) -> None:
    """Write the run's images as they are before the crop, and what the teacher makes of each, as paired folders."""
    x, y = teacher.card.direction.split("to")
    splits = find_splits(config.data)
    numbered = [
        (part, number, sample)
        for part, split in (("train", splits.train), ("test", splits.test))
        for number, sample in enumerate(split.of(x))
    ]
    for part, number, sample in track(numbered, len(numbered)):
        images, broken = read_each([sample], x, config.data)
        if broken:
            continue
        seen = ImageData(fitted(images, config.data)[0])
        for domain, shown in ((x, seen), (y, teacher.translate(seen))):
            write_image(folder / f"{part}{domain}" / f"{number:06}.png", shown.pixels, shown.alpha)
