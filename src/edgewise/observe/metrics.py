"""Counters, gauges and histograms, and their text for Prometheus.

Children with labels are made once and kept by who counts, so that counting is an addition. Text is
made from what is there; no lock is held, so a reader may be one request behind a writer.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


OfAll = Callable[[Iterable[float]], float]


class Counter:
    """A sum that never falls. Made by a family."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Add to the sum."""
        self.value += amount

    def state(self) -> Any:
        """Give what it has counted, as JSON has it."""
        return self.value

    def take(self, state: Any) -> None:
        """Add what another process has counted."""
        self.value += state

    def lines(self, name: str, labels: str, *, exemplars: bool) -> list[str]:
        """Give its line of text."""
        del exemplars
        return [f"{name}{_braced(labels)} {_number(self.value)}"]


class Gauge(Counter):
    """A number that is read when it is asked for, or set."""

    __slots__ = ("_taken", "of_all", "read")

    def __init__(self) -> None:
        super().__init__()
        self.read: Callable[[], float] | None = None
        self.of_all: OfAll = sum
        self._taken = False

    def state(self) -> Any:
        """Give the number at this moment."""
        if self.read is not None:
            self.value = self.read()
        return self.value

    def take(self, state: Any) -> None:
        """Put another process's number with this one; what is read here alone stays as it is."""
        if self.read is None:
            self.value = self.of_all((self.value, state)) if self._taken else state
            self._taken = True

    def lines(self, name: str, labels: str, *, exemplars: bool) -> list[str]:
        """Give its line of text."""
        self.state()
        return super().lines(name, labels, exemplars=exemplars)


class Histogram:
    """How often a number was in each range. Made by a family."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._exemplars: dict[int, tuple[str, float]] = {}
        self._sum = 0.0

    def see(self, value: float, exemplar: str = "") -> None:
        """Count a number; the exemplar is the id of the request that it comes from."""
        place = bisect_left(self._bounds, value)
        self._counts[place] += 1
        self._sum += value
        if exemplar:
            self._exemplars[place] = (exemplar, value)

    def state(self) -> Any:
        """Give what it has counted, as JSON has it."""
        kept = [[place, *one] for place, one in self._exemplars.items()]
        return [self._counts, self._sum, kept]

    def take(self, state: Any) -> None:
        """Add what another process has counted; its exemplars come first."""
        counts, added, kept = state
        self._counts = [one + other for one, other in zip(self._counts, counts, strict=True)]
        self._sum += added
        self._exemplars.update({place: (name, value) for place, name, value in kept})

    def lines(self, name: str, labels: str, *, exemplars: bool) -> list[str]:
        """Give its lines of text."""
        found, total = [], 0
        for place, count in enumerate(list(self._counts)):
            total += count
            bound = f"{self._bounds[place]:g}" if place < len(self._bounds) else "+Inf"
            both = f'{labels},le="{bound}"' if labels else f'le="{bound}"'
            line = f"{name}_bucket{{{both}}} {total}"
            kept = self._exemplars.get(place)
            if exemplars and kept is not None:
                line += f' # {{request_id="{_quoted(kept[0])}"}} {kept[1]:g}'
            found.append(line)
        found.append(f"{name}_sum{_braced(labels)} {_number(self._sum)}")
        found.append(f"{name}_count{_braced(labels)} {total}")
        return found


Child = Counter | Histogram


class Family:
    """All children of one name. Made by a `Metrics`."""

    def __init__(self, kind: type[Child], name: str, told: str, labels: tuple[str, ...]) -> None:
        self.kind, self.name, self.told, self.labels = kind, name, told, labels
        self.of_all: OfAll = sum
        self.children: dict[tuple[str, ...], Child] = {}

    def of(self, *values: str) -> Child:
        """Give the child with these values of the labels, the same each time."""
        child = self.children.get(values)
        if child is None:
            child = self.children[values] = self.kind()
            if isinstance(child, Gauge):
                child.of_all = self.of_all
        return child

    def like(self) -> "Family":
        """Give a family like it, in which nothing is counted."""
        made = Family(self.kind, self.name, self.told, self.labels)
        made.of_all = self.of_all
        return made

    def text(self, *, exemplars: bool) -> list[str]:
        """Give the family's lines."""
        kind = {Gauge: "gauge", Histogram: "histogram"}.get(self.kind, "counter")
        # OpenMetrics names the family without the ending that its samples have.
        family = self.name.removesuffix("_total") if exemplars else self.name
        found = [f"# HELP {family} {self.told}", f"# TYPE {family} {kind}"]
        for values, child in list(self.children.items()):
            pairs = zip(self.labels, values, strict=True)
            told = ",".join(f'{name}="{_quoted(value)}"' for name, value in pairs)
            found += child.lines(self.name, told, exemplars=exemplars)
        return found


class Metrics:
    """What a process counts. Made by the gateway; counted from its event loop."""

    def __init__(self) -> None:
        self._families: list[Family] = []

    def counter(self, name: str, told: str, *labels: str) -> Family:
        """Make a family of counters; its name ends in `_total`."""
        return self._add(Family(Counter, name, told, labels))

    def gauge(self, name: str, told: str, *labels: str, of_all: OfAll = sum) -> Family:
        """Make a family of gauges.

        Parameters
        ----------
        of_all
            Makes one number of those of several processes, such as `sum` or `max`.
        """
        family = self._add(Family(Gauge, name, told, labels))
        family.of_all = of_all
        return family

    def histogram(self, name: str, told: str, *labels: str) -> Family:
        """Make a family of histograms in seconds."""
        return self._add(Family(Histogram, name, told, labels))

    def state(self) -> dict[str, Any]:
        """Give all that was counted, as JSON has it."""
        return {
            one.name: [[values, child.state()] for values, child in list(one.children.items())]
            for one in self._families
        }

    def take(self, state: Mapping[str, Any]) -> None:
        """Add what another process counted of the same families."""
        for one in self._families:
            for values, counted in state.get(one.name, ()):
                one.of(*values).take(counted)

    def whole(self, others: Iterable[Mapping[str, Any]]) -> "Metrics":
        """Give what this process and others have counted together."""
        made = Metrics()
        made._families = [one.like() for one in self._families]
        for state in (*others, self.state()):
            made.take(state)
        return made

    def text(self, *, open_metrics: bool = False) -> str:
        """Give all that was counted; in OpenMetrics' form with exemplars."""
        lines = [line for one in self._families for line in one.text(exemplars=open_metrics)]
        return "\n".join([*lines, "# EOF"] if open_metrics else lines) + "\n"

    def _add(self, family: Family) -> Family:
        self._families.append(family)
        return family


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    """Give all of a number's digits: a sum whose last one is cut seems to stand still."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
