"""From folders of images to batches: `open_loader(config)` is all that training needs."""

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits, FileSample, Sample, Split
from viceversa.data.image_data import ImageError, normalise
from viceversa.data.layouts import find_splits
from viceversa.data.loader import TrainLoader

__all__ = ["DatasetSplits", "FileSample", "ImageError", "Sample", "Split", "TrainLoader"]
__all__ += ["find_splits", "normalise", "open_loader"]


def open_loader(config: Config) -> TrainLoader:
    """Find the images of a configuration; raise ConfigError or FileNotFoundError if they cannot be found."""
    return TrainLoader(find_splits(config.data), config)
