"""The build-time chain: a project file goes in, a run directory comes out.

`run_project` composes spec, optimize, profile, calibrate, plan and report over a
content-addressed cache; `verify_run` checks that the parts of a run belong together.
Read `chain.py` first.
"""

from edgewise.pipeline.chain import run_project
from edgewise.pipeline.verify import Check, verify_run

__all__ = ["Check", "run_project", "verify_run"]
