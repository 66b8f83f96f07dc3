"""The search where torch is there: students of every shape are trained after their source."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_project import LAYERS, write_project

from edgewise.optimize.explore import explore, space_of
from edgewise.optimize.recipe import parse
from edgewise.optimize.survey import Survey
from edgewise.optimize.workbench import Workbench
from edgewise.profile import measure
from edgewise.records import (
    DataSpec,
    Input,
    ModelSpec,
    Objective,
    Profile,
    ProjectSpec,
    silent,
)
from edgewise.spec import read_sample

pytestmark = [pytest.mark.integration, pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
MINUTES, TRIALS = 60.0, 16


def test_shapes_are_trained_and_judged_as_all_others(tmp_path: Path) -> None:
    write_project(tmp_path)
    path = tmp_path / "train.csv"
    task, data = read_sample(path)
    spec = ProjectSpec(
        name="tiny",
        task=task,
        model=ModelSpec(source=tmp_path / "model"),
        data=DataSpec(train=path, calibration=path, test=path),
        objective=Objective(max_quality_loss=0.1),
    )

    def probe(bundle: Path, inputs: Sequence[Input]) -> Profile:
        return measure(bundle, inputs[:5])

    bench = Workbench(spec, data, tmp_path / "work", probe=probe, workers=1, progress=silent)
    survey = Survey(bench, lambda _, __, make: make(), range(1, LAYERS + 1))
    plans = [(LAYERS, parse("float32"))]
    survey.candidate(plans[0])
    asked = iter(range(10_000))

    tried = explore(
        survey,
        plans,
        space_for=lambda *, trains: space_of(survey, plans, trains=trains),
        journal=tmp_path / "journal.log",
        budget_s=60.0 * MINUTES,
        seed=0,
        # Each look at the clock costs so much that the search ends after some twenty trials.
        clock=lambda: next(asked) * 60.0 * MINUTES / (4 * TRIALS),
        progress=silent,
    )

    trained = [survey.found[plan] for plan in tried if "recover" in plan[1]]
    narrow = [plan for plan in tried if any(word.startswith("prune-width") for word in plan[1])]
    assert len(tried) > TRIALS / 2
    assert narrow
    assert any(one.kept and len(one.recipe) > 2 for one in trained)
    assert all(one.kept or one.why for one in trained)
    assert all(one.fidelity is not None for one in trained if one.kept)
    assert bench.training_minutes == spec.optimize.training_minutes
