"""From folders of pictures to batches: `open_stream(config)` is all that training needs."""

from viceversa.config import Config
from viceversa.data.images import ImageError, normalise
from viceversa.data.items import FileItem, Item
from viceversa.data.layouts import find_source
from viceversa.data.sources import Source, Split
from viceversa.data.stream import Batch, Stream, TestSample

__all__ = [
    "Batch",
    "FileItem",
    "ImageError",
    "Item",
    "Source",
    "Split",
    "Stream",
    "TestSample",
    "find_source",
    "normalise",
    "open_stream",
]


def open_stream(config: Config) -> Stream:
    """Find the pictures of a configuration; raise ConfigError or FileNotFoundError if they cannot be found."""
    return Stream(find_source(config.data), config)
