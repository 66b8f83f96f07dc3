"""The build-time chain: a project file goes in, a run directory comes out.

`run_project` composes spec, optimize, profile, calibrate, plan and report over a
content-addressed cache; `verify_run` checks that the parts of a run belong together;
`calibrate_run` certifies a run anew with other labels, `recertify_run` with audited samples, and
`recertify_policy` a policy that has no run;
`optimize_source` does the first part for a model and a data file alone; `ModelOptimizer` composes
optimize and profile for one model in hand. Read `chain.py` first.

Names load on first use (PEP 562), so that `ModelOptimizer` can be named without the extras that the
chain needs.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.pipeline.calibrating import CalibrateOrder, calibrate_run
    from edgewise.pipeline.chain import run_project
    from edgewise.pipeline.cutting import measure_cuts
    from edgewise.pipeline.model_optimizer import ModelOptimizer
    from edgewise.pipeline.optimizing import Order, optimize_source
    from edgewise.pipeline.pdf import print_pdf
    from edgewise.pipeline.planning import focus_of, plan_again, plan_page
    from edgewise.pipeline.policy_file import open_policy
    from edgewise.pipeline.pricing import import_prices, price_tables
    from edgewise.pipeline.recertifying import RecertifyOrder, recertify_policy, recertify_run
    from edgewise.pipeline.reporting import is_older, report_of
    from edgewise.pipeline.verify import Check, verify_run

__all__ = [
    "CalibrateOrder",
    "Check",
    "ModelOptimizer",
    "Order",
    "RecertifyOrder",
    "calibrate_run",
    "focus_of",
    "import_prices",
    "is_older",
    "measure_cuts",
    "open_policy",
    "optimize_source",
    "plan_again",
    "plan_page",
    "price_tables",
    "print_pdf",
    "recertify_policy",
    "recertify_run",
    "report_of",
    "run_project",
    "verify_run",
]

_HOMES = {
    "CalibrateOrder": "edgewise.pipeline.calibrating",
    "Check": "edgewise.pipeline.verify",
    "ModelOptimizer": "edgewise.pipeline.model_optimizer",
    "Order": "edgewise.pipeline.optimizing",
    "RecertifyOrder": "edgewise.pipeline.recertifying",
    "calibrate_run": "edgewise.pipeline.calibrating",
    "measure_cuts": "edgewise.pipeline.cutting",
    "open_policy": "edgewise.pipeline.policy_file",
    "import_prices": "edgewise.pipeline.pricing",
    "focus_of": "edgewise.pipeline.planning",
    "plan_page": "edgewise.pipeline.planning",
    "plan_again": "edgewise.pipeline.planning",
    "price_tables": "edgewise.pipeline.pricing",
    "print_pdf": "edgewise.pipeline.pdf",
    "is_older": "edgewise.pipeline.reporting",
    "report_of": "edgewise.pipeline.reporting",
    "optimize_source": "edgewise.pipeline.optimizing",
    "recertify_policy": "edgewise.pipeline.recertifying",
    "recertify_run": "edgewise.pipeline.recertifying",
    "run_project": "edgewise.pipeline.chain",
    "verify_run": "edgewise.pipeline.verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgewise.pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
