"""When 8 bits lose too much: which recipe quantization-aware tuning is tried on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgewise.errors import MissingExtra
from edgewise.optimize import recipe as recipes
from edgewise.optimize.passes import first_products, int8_dynamic, int8_static, mixed
from edgewise.optimize.recipe import STATIC_WHOLE, TUNE
from edgewise.optimize.survey import Plan
from edgewise.records import Candidate

_IN_8_BITS = {int8_dynamic.NAME, int8_static.NAME, first_products.NAME, mixed.NAME, STATIC_WHOLE}
_WHY = "no candidate in 8 bits passed the gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A recipe that failed in 8 bits, with training before them. Made by `tuning_for`."""

    plan: Plan
    start: tuple[str, ...]
    """What the candidate's recipe has before the plan's words."""

    def attempt(self, minutes: float, make: Callable[[Plan], Candidate]) -> Candidate:
        """Give the candidate, or one that says why it was not made."""
        if minutes <= 0.0:
            return self._out(f"{_WHY}, and training is off")
        try:
            recipes.check_extras(self.plan[1])
        except MissingExtra as missing:
            return self._out(f"{_WHY}, and to train {missing.what}: {missing.hint}")
        return make(self.plan)

    def _out(self, why: str) -> Candidate:
        recipe = (*self.start, *self.plan[1])
        return Candidate(recipe=recipe, runtime="onnxruntime", size_bytes=0, kept=False, why=(why,))


def tuning_for(found: Sequence[tuple[Plan, Candidate]]) -> Tuning | None:
    """Say what to tune where no candidate in 8 bits passed the gate: the one that came nearest.

    Nothing where one passed, where none came as far as the gate with a float form that passed it,
    and where tuning is among the recipes anyway.
    """
    tried = []
    for (depth, words), one in found:
        names = {recipes.tool_of(word).name for word in words}
        if TUNE in names:
            return None
        if names & _IN_8_BITS:
            tried.append((depth, words, one))
    if any(one.kept or one.p50_ms is not None for _, _, one in tried):
        return None
    failed = [(depth, words, one) for depth, words, one in tried if one.fidelity is not None]
    if not failed:
        return None
    depth, words, nearest = max(failed, key=lambda each: _nearness(each[2]))
    start = nearest.recipe[: len(nearest.recipe) - len(words)]
    return Tuning(plan=(depth, recipes.in_order((TUNE, *words))), start=start)


def _nearness(one: Candidate) -> tuple[float, float, float]:
    found = one.fidelity
    assert found is not None  # the caller saw it
    return found.metric or 0.0, found.agreement or 0.0, found.cosine or 0.0
