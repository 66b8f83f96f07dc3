"""A source model becomes candidates that pass the fidelity gate, and the best becomes a bundle.

A `ProjectSpec` and the train split go in, an `OptimizeResult` or a `Best` comes out. Read
`search.py` and `best.py` first, then `workbench.py`, `recipe.py`, `gate.py` and `choose.py`.
"""

from edgewise import extras

with extras.needed("optimize"):
    from edgewise.optimize.best import Best, Search, Tools, find_best
    from edgewise.optimize.explore import explore, space_of
    from edgewise.optimize.lanes import Lane, Race
    from edgewise.optimize.pareto import costs_of, pareto_front
    from edgewise.optimize.recipe import parse as parse_recipe
    from edgewise.optimize.search import OptimizeResult, optimize
    from edgewise.optimize.sources import hash_made, source_files
    from edgewise.optimize.split import fit_part, held_out
    from edgewise.optimize.workbench import Probe
    from edgewise.optimize.writing import candidates_folder

__all__ = [
    "Best",
    "Lane",
    "OptimizeResult",
    "Probe",
    "Race",
    "Search",
    "Tools",
    "candidates_folder",
    "costs_of",
    "explore",
    "find_best",
    "fit_part",
    "hash_made",
    "held_out",
    "optimize",
    "pareto_front",
    "parse_recipe",
    "source_files",
    "space_of",
]
