"""Whether to ask the far tier at once, read off the prompt before any model runs.

Prompts with the quality of both tiers go in, a `PreRouter` comes out whose weights are a record of
some tens of kilobytes. numpy alone, to fit and to ask. Read `router.py`, then `features.py`.
"""

from edgewise.preroute.router import Embed, PreRouter
from edgewise.preroute.scoring import apgr

__all__ = ["Embed", "PreRouter", "apgr"]
