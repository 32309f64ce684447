"""What makes a training take a second."""

SMALL = [
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2", "data.load=32"),
    *("data.crop=32", "data.paired_test=true", "data.workers=0", "train.length=2 steps", "train.decay=0 steps"),
    *("train.device=cpu", "train.samples=2", "train.report=false"),
]
