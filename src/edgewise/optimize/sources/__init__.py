"""Source models as one thing: features of every cut, and classifiers of a given depth."""

from edgewise.optimize.sources.opening import Head, Source, open_source

__all__ = ["Head", "Source", "open_source"]
