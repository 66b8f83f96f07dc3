"""A student by its shape: `2` layers, or `2:heads=6:ffn=512:width=192`, cut out of its teacher.

Layers are spread evenly over the teacher's; heads, neurons and channels are those that are needed
most, so the student starts from the teacher's weights. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.attention import find_attention
from edgewise.optimize.graphs.channel_groups import find_groups
from edgewise.optimize.graphs.stream import find_stream
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.passes.prune_ffn import prune_ffn
from edgewise.optimize.passes.prune_heads import prune_heads
from edgewise.optimize.passes.prune_layers import keep_layers
from edgewise.optimize.passes.prune_width import prune_width
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

STUDENT = "distill"
_SIZES = ("width", "heads", "ffn", "epochs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a student is like; `None` takes the teacher's own size."""

    depth: int
    width: int | None = None
    heads: int | None = None
    ffn: int | None = None
    epochs: int = 3


def parse_student(argument: str) -> Shape:
    """Read a shape such as `2:heads=6`.

    Raises
    ------
    UsageError
        When it is none.
    """
    first, *others = argument.split(":")
    sizes: dict[str, int] = {}
    for name, text in [("", first), *(one.partition("=")[::2] for one in others)]:
        if (name and name not in _SIZES) or not text.isdigit() or int(text) < 1:
            what = f"not a student's shape: `{argument}`"
            hint = f"like 2 or 2:heads=6:ffn=512; known: {', '.join(_SIZES)}"
            raise UsageError(what, where="recipe", hint=hint)
        sizes[name or "depth"] = int(text)
    return Shape(**sizes)


def make_student(
    teacher: "onnx.ModelProto", shape: Shape, samples: Sequence[Tensors]
) -> "onnx.ModelProto":
    """Cut a student out of its teacher.

    Raises
    ------
    InvalidModel
        When the teacher has no such parts, or fewer of them.
    """
    found = keep_layers(teacher, shape.depth)
    if shape.width is not None:
        width = find_stream(Wiring(found)).width
        found = prune_width(found, _share("channels", shape.width, width), samples)
    if shape.heads is not None:
        heads = max((one.heads for one in find_attention(Wiring(found))), default=0)
        found = prune_heads(found, _share("heads", shape.heads, heads), samples)
    if shape.ffn is not None:
        groups = [one.width for one in find_groups(Wiring(found)) if not one.has_conv]
        found = prune_ffn(found, _share("neurons", shape.ffn, max(groups, default=0)), samples)
    return found


def _share(what: str, wanted: int, there: int) -> float:
    """Give the share that goes, so that `wanted` of those there stay."""
    if wanted > there:
        raise InvalidModel(
            f"{wanted} {what} are wanted, and {there} are found",
            where=STUDENT,
            hint="give what the teacher has, or less",
        )
    return (there - wanted) / there
