"""A source model becomes candidates that pass the fidelity gate, and the best becomes a bundle.

A `ProjectSpec` and the train split go in, an `OptimizeResult` comes out. Read `search.py` first,
then `workbench.py`, `recipe.py`, `gate.py` and `choose.py`.
"""

from edgewise.optimize.search import OptimizeResult, optimize
from edgewise.optimize.split import fit_part, held_out
from edgewise.optimize.workbench import Probe

__all__ = ["OptimizeResult", "Probe", "fit_part", "held_out", "optimize"]
