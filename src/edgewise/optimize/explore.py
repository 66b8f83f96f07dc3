"""The search over shape and recipe together, by Optuna: measured, pruned early, resumable.

Source of the sampler: Ozaki, Tanigaki, Watanabe and Onishi, Multiobjective tree-structured Parzen
estimator for computationally expensive optimization problems, GECCO 2020, as Optuna has it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from edgewise import extras
from edgewise.errors import MissingExtra
from edgewise.optimize import recipe as recipes
from edgewise.optimize.pareto import costs_of, pareto_front
from edgewise.optimize.passes import (
    prune_channels,
    prune_ffn,
    prune_heads,
    prune_width,
    trim_vocabulary,
)
from edgewise.optimize.recipe import FLOAT, RECOVER
from edgewise.optimize.survey import Plan, Survey, normal
from edgewise.records import Candidate, Progress, Task, digest

if TYPE_CHECKING:
    import optuna

_SHARES = (0.0, 0.25, 0.5)
_GLANCE = 64
_STARTUP = 8
_MOST_REPEATS = 40
_OBJECTIVES = 4
_TRAININGS, _LEAST_MINUTES = 6, 0.5
"""A training may take a sixth of the search; where that is less than this, nothing is trained."""
_NUMBERS = {
    Task.IMAGE_CLASSIFICATION: (FLOAT, "int8-dynamic", "int8-static"),
    Task.TEXT_CLASSIFICATION: (FLOAT, "fuse", "smooth,int8-dynamic", "fuse,smooth,int8-dynamic"),
    Task.FEATURE_EXTRACTION: (FLOAT, "fuse", "smooth,int8-dynamic", "fuse,smooth,int8-dynamic"),
}


class Limits(Protocol):
    """What a candidate may cost while the search asks for it. Changed by `explore` alone."""

    glance: int
    training_minutes: float


class Explored(Protocol):
    """Where candidates come from: a project's survey, or a model in hand."""

    @property
    def bench(self) -> Limits:
        """Give what may be changed while the search lasts."""
        ...

    @property
    def found(self) -> Mapping[Plan, Candidate]:
        """Give the candidates that are known."""
        ...

    def candidate(self, plan: Plan) -> Candidate:
        """Make, judge and measure a candidate, unless it is known."""
        ...

    def forget(self, keep: Sequence[Plan]) -> None:
        """Let go of what was made for all candidates but these."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may be varied. Made by `space_of`."""

    layers: int
    shares: tuple[str, ...]
    """Passes that take a share."""
    trims: bool
    numbers: tuple[str, ...]
    """Recipes that make the same model smaller."""
    trains: bool = False
    """Whether a shape may be trained after its teacher, the source."""

    @property
    def size(self) -> int:
        """The number of different candidates."""
        switches = 2 ** (self.trims + self.trains)
        return prod((self.layers, len(_SHARES) ** len(self.shares), switches, len(self.numbers)))


class SpaceFor(Protocol):
    """Gives what may be varied, by whether students may be trained."""

    def __call__(self, *, trains: bool) -> Space:
        """Give the space."""
        ...


def space_of(survey: Survey, plans: Sequence[Plan], *, trains: bool) -> Space:
    """Give what may be varied of a source; the numeric recipes of known plans are among it.

    A narrower stream of residuals is worth nothing without training.
    """
    bench = survey.bench
    text = bench.spec.task.takes_text
    known = [recipes.split(words)[1] for _, words in plans]
    own = [",".join(words) or FLOAT for words in known if trains or not recipes.trains(words)]
    of_text = (prune_ffn.NAME, prune_heads.NAME, *([prune_width.NAME] if trains else []))
    return Space(
        layers=bench.source.layers,
        shares=of_text if text else (prune_channels.NAME,),
        trims=text and bench.writer.tokenizer_json is not None,
        numbers=tuple(sorted({*own, *_NUMBERS[bench.spec.task]})),
        trains=trains,
    )


def minutes_to_train(allowed: float, budget_s: float) -> float:
    """Give what one training may take within a search; 0 where there is no time, or no torch."""
    minutes = min(allowed, budget_s / 60.0 / _TRAININGS)
    if minutes < _LEAST_MINUTES:
        return 0.0
    try:
        recipes.check_extras((RECOVER,))
    except MissingExtra:
        return 0.0
    return minutes


def plan_of(choice: dict[str, Any]) -> Plan:
    """Give the plan of a choice in a space."""
    words = [f"{name}:{share}" for name, share in choice.items() if name in _SHARED and share]
    words += [name for name in _SWITCHES if choice.get(name)]
    return normal((int(choice["layers"]), (*words, *recipes.parse(str(choice["numbers"])))))


def choice_of(space: Space, plan: Plan) -> dict[str, Any] | None:
    """Give the choice that a plan is; `None` where it lies outside of the space."""
    depth, words = normal(plan)
    structure, numbers = recipes.split(words)
    choice: dict[str, Any] = {"layers": depth, **dict.fromkeys(space.shares, 0.0)}
    choice |= dict.fromkeys(_switches(space), False)
    for word in structure:
        name, _, argument = word.partition(":")
        if word in _switches(space):
            choice[word] = True
        elif name in space.shares and argument in map(str, _SHARES):
            choice[name] = float(argument)
        else:
            return None
    choice["numbers"] = ",".join(numbers) or FLOAT
    return choice if choice["numbers"] in space.numbers else None


def explore(
    survey: Explored,
    plans: Sequence[Plan],
    *,
    space_for: SpaceFor,
    journal: Path,
    budget_s: float,
    seed: int,
    clock: Callable[[], float],
    progress: Progress,
) -> tuple[Plan, ...]:
    """Try candidates until the time is up, and name all that were tried, known ones first.

    Error, p95, peak memory and size are all made small. A candidate that loses far more than is
    allowed on the first rows, or fails the gate, is never measured. Where torch is there and the
    time allows it, students of every shape may be trained after the source.

    Parameters
    ----------
    plans
        Those known; the kept ones among them are where the search starts.
    space_for
        Gives the space.
    journal
        What was tried is written here, and read when the search goes on.
    budget_s
        Of all sittings together: a search that had its time does nothing.
    """
    with extras.needed("optimize"):
        import optuna  # noqa: PLC0415 - heavy
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    minutes = minutes_to_train(survey.bench.training_minutes, budget_s)
    space = space_for(trains=minutes > 0.0)
    study = _open(journal, seed, space)
    for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    for plan in _best_first(survey, plans):
        choice = choice_of(space, plan)
        if choice is not None:
            study.enqueue_trial(choice, skip_if_exists=True)
    tried = [plan_of(one.params) for one in study.get_trials(deepcopy=False) if _ended(one)]
    before = survey.bench.training_minutes
    survey.bench.glance, survey.bench.training_minutes = _GLANCE, minutes
    try:
        for plan in tried:
            survey.candidate(plan)
        tried += _run(survey, study, space, Budget(clock, budget_s), progress)
    finally:
        survey.bench.glance, survey.bench.training_minutes = 0, before
    return tuple(dict.fromkeys((*map(normal, plans), *tried)))


class Budget:
    """The time of a search over all its sittings. Made by `explore`."""

    def __init__(self, clock: Callable[[], float], budget_s: float) -> None:
        self._clock, self.budget_s = clock, budget_s
        self._begun_s = clock()
        self._before_s = 0.0
        self._trials = 0

    def spent_before(self, seconds: float) -> None:
        """Count the time of earlier sittings."""
        self._before_s = seconds

    @property
    def spent_s(self) -> float:
        """The time spent, this sitting's included."""
        return self._before_s + self._clock() - self._begun_s

    def note(self) -> None:
        """Count a candidate that took time."""
        self._trials += 1

    def is_over(self) -> bool:
        """Whether one more candidate of the usual duration would end late."""
        usual_s = (self._clock() - self._begun_s) / self._trials if self._trials else 0.0
        return self.spent_s + usual_s >= self.budget_s


def _run(
    survey: Explored, study: "optuna.Study", space: Space, budget: Budget, progress: Progress
) -> list[Plan]:
    trials = study.get_trials(deepcopy=False)
    budget.spent_before(sum(_duration_s(one) for one in trials if _ended(one)))
    seen = {plan_of(one.params) for one in trials if _ended(one)}
    if study.user_attrs.get("done_s", 0.0) >= budget.budget_s:
        return []
    tried: list[Plan] = []
    repeats = 0
    while not budget.is_over() and len(seen) < space.size and repeats < _MOST_REPEATS:
        progress("optimize: search", int(budget.spent_s), int(budget.budget_s))
        trial = study.ask()
        plan = plan_of(_suggest(trial, space))
        known = plan in survey.found
        repeats = repeats + 1 if plan in seen else 0
        seen.add(plan)
        tried.append(plan)
        _tell(study, trial, survey.candidate(plan))
        if not known:
            budget.note()
        survey.forget(front(survey))
    study.set_user_attr("done_s", budget.budget_s)
    progress("optimize: search", int(budget.budget_s), int(budget.budget_s))
    return tried


class _OneWriter:
    """The journal's lock: none, because one search writes it.

    Optuna's own is a file that is renamed away: a ^C in between fails there with another error,
    and leaves a lock that the next sitting waits for.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _open(journal: Path, seed: int, space: Space) -> "optuna.Study":
    import optuna  # noqa: PLC0415 - heavy
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415 - heavy

    journal.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            # What was tried in another space says nothing that the sampler could read.
            study_name=f"edgewise-{digest(space)[:16]}",
            directions=["minimize"] * _OBJECTIVES,
            storage=optuna.storages.JournalStorage(
                JournalFileBackend(str(journal), lock_obj=cast("Any", _OneWriter()))
            ),
            load_if_exists=True,
        )
        # A sitting that goes on must not draw what the one before it drew.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + len(study.get_trials(deepcopy=False)),
            n_startup_trials=_STARTUP,
            **_constraints(optuna.trial.Trial),
        )
    return study


def _constraints(trial: type) -> dict[str, Any]:
    """Say where the sampler finds violations: Optuna 5 has them in the trial, 4 asks for them."""
    if hasattr(trial, "set_constraint"):
        return {}
    return {"constraints_func": lambda one: (float(one.user_attrs["violation"]),)}


def _suggest(trial: "optuna.Trial", space: Space) -> dict[str, Any]:
    choice: dict[str, Any] = {"layers": trial.suggest_int("layers", 1, space.layers)}
    for name in space.shares:
        choice[name] = trial.suggest_categorical(name, _SHARES)
    for name in _switches(space):
        choice[name] = trial.suggest_categorical(name, (False, True))
    choice["numbers"] = trial.suggest_categorical("numbers", space.numbers)
    return choice


def _tell(study: "optuna.Study", trial: "optuna.Trial", found: Candidate) -> None:
    """Hand the sampler what came out: one that was not measured counts as pruned."""
    import optuna  # noqa: PLC0415 - heavy

    costs = costs_of(found)
    trial.set_user_attr("violation", violation(found))
    if hasattr(trial, "set_constraint"):
        trial.set_constraint("violation", violation(found))
    if costs is None:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, costs)


def violation(found: Candidate) -> float:
    """Say how far a candidate is from one that may ship; 0 and below is one that may."""
    if found.kept:
        return -1.0
    if found.p95_ms is not None:
        return 0.5
    quality = None
    if found.fidelity is not None:
        quality = (
            found.fidelity.metric if found.fidelity.metric is not None else found.fidelity.cosine
        )
    return 2.0 - quality if quality is not None else 2.0


def _ended(trial: "optuna.trial.FrozenTrial") -> bool:
    """Say whether a trial came to an answer: neither waiting, nor cut off by an interruption."""
    return trial.state.is_finished() and "violation" in trial.user_attrs


def _duration_s(trial: "optuna.trial.FrozenTrial") -> float:
    duration = trial.duration
    return duration.total_seconds() if duration is not None else 0.0


def _best_first(survey: Explored, plans: Sequence[Plan]) -> list[Plan]:
    known = [(plan, survey.found[normal(plan)]) for plan in plans]
    return [plan for plan, one in sorted(known, key=lambda pair: pair[1].p50_ms or 0.0) if one.kept]


def front(survey: Explored) -> list[Plan]:
    """Name the plans whose bundles may still be chosen."""
    rated = [
        (plan, costs)
        for plan, one in survey.found.items()
        if one.kept and (costs := costs_of(one)) is not None
    ]
    return [rated[place][0] for place in pareto_front([costs for _, costs in rated])]


def _switches(space: Space) -> tuple[str, ...]:
    """Name the passes that are done or left."""
    has = {trim_vocabulary.NAME: space.trims, RECOVER: space.trains}
    return tuple(name for name in _SWITCHES if has[name])


_SHARED = (prune_ffn.NAME, prune_heads.NAME, prune_width.NAME, prune_channels.NAME)
_SWITCHES = (trim_vocabulary.NAME, RECOVER)
