"""Source models as one thing: features of every cut, and classifiers of a given depth."""

from edgewise.optimize.sources.opening import (
    TORCH_FILES,
    example_pixels,
    hash_made,
    open_source,
    source_files,
)
from edgewise.optimize.sources.protocol import Head, Source

__all__ = [
    "TORCH_FILES",
    "Head",
    "Source",
    "example_pixels",
    "hash_made",
    "open_source",
    "source_files",
]
