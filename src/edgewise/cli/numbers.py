"""Numbers of the command line."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of numbers; `nan` lies in none, and click lets it into each."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return found
