"""`edgewise.yaml` and its split files become records; errors name line and column.

A path goes in, a `ProjectSpec` comes out; a spec goes in, a `Split` comes out. pydantic and
PyYAML live here. Read `model.py` and `load.py` first.
"""

from edgewise import extras

with extras.needed("optimize"):
    from edgewise.spec.chat import load_chat_policy, load_chat_tiers
    from edgewise.spec.inputs import read_inputs
    from edgewise.spec.load import load_spec, load_tiers
    from edgewise.spec.pixels import PixelWords, parse_pixels
    from edgewise.spec.placement import load_placement
    from edgewise.spec.planned import load_plan
    from edgewise.spec.samples import read_columns, read_sample
    from edgewise.spec.splits import check_overlap, hash_examples, read_split
    from edgewise.spec.starting import explain, json_schema, start_project
    from edgewise.spec.target import parse_target

__all__ = [
    "PixelWords",
    "check_overlap",
    "explain",
    "hash_examples",
    "json_schema",
    "load_chat_policy",
    "load_chat_tiers",
    "load_placement",
    "load_plan",
    "load_spec",
    "load_tiers",
    "parse_pixels",
    "parse_target",
    "read_columns",
    "read_inputs",
    "read_sample",
    "read_split",
    "start_project",
]
