"""The decision log: every decision in SQLite, without its payload.

`Decision` records go in, the same come out. Read `log.py`.
"""

from edgewise.observe.log import DecisionLog

__all__ = ["DecisionLog"]
