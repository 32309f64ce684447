"""From folders of pictures to batches: `open_stream(config)` is all that training needs."""

from viceversa.config import Config
from viceversa.data.folders import Source, Split, find_source
from viceversa.data.images import ImageError
from viceversa.data.stream import Batch, Stream, TestSample

__all__ = ["Batch", "ImageError", "Source", "Split", "Stream", "TestSample", "find_source", "open_stream"]


def open_stream(config: Config) -> Stream:
    """Find the pictures of a configuration; raise ConfigError or FileNotFoundError if they cannot be found."""
    return Stream(find_source(config.data), config)
