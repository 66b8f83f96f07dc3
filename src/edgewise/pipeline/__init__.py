"""The build-time chain: a project file goes in, a run directory comes out.

`run_project` composes spec, optimize, profile, calibrate, plan and report over a
content-addressed cache; `optimize_source` does the first part for a model and a data file alone;
`verify_run` checks that the parts of a run belong together.
Read `chain.py` first.
"""

from edgewise.pipeline.chain import run_project
from edgewise.pipeline.optimizing import Order, optimize_source
from edgewise.pipeline.verify import Check, verify_run

__all__ = ["Check", "Order", "optimize_source", "run_project", "verify_run"]
