"""Source models as one thing: features of every cut, and classifiers of a given depth."""

from edgewise.optimize.sources.opening import open_source
from edgewise.optimize.sources.protocol import Head, Source

__all__ = ["Head", "Source", "open_source"]
