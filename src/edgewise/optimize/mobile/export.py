"""`export_mobile`: each format made aside, loaded again, compared, and then put in place."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewise.errors import InvalidData, InvalidModel, MissingExtra, StorageError
from edgewise.optimize.mobile import formats as how
from edgewise.optimize.mobile.compare import Bounds, compare
from edgewise.optimize.mobile.origin import Origin, open_origin
from edgewise.runtimes import hash_file
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx


class MobileFormat(Enum):
    """A form that a phone's or a small device's runtime loads."""

    ORT = "ort"
    TFLITE = "tflite"
    TFLITE_INT8 = "tflite-int8"
    PTE = "pte"


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileArtifact:
    """One format of a model: the file made, or why there is none. Made by `export_mobile`."""

    format: MobileFormat
    made: bool
    why: str = ""
    """Why it is not made."""
    path: str | None = None
    size_bytes: int = 0
    sha256: str = ""
    max_abs_error: float | None = None
    """Against the source on the examples; `None` where it came to no comparison."""
    cosine: float | None = None
    agreement: float | None = None
    """`None` also where the model chooses nothing."""


FLOAT = Bounds(min_cosine=0.9999, max_relative_error=0.01, min_agreement=0.99)
INT8 = Bounds(min_cosine=0.98, max_relative_error=0.25, min_agreement=0.9)

_WRITERS = {
    MobileFormat.ORT: how.Writer(
        file="model.ort", write=how.write_ort, run=how.run_session("onnxruntime")
    ),
    MobileFormat.TFLITE: how.Writer(
        file="model.tflite", write=how.write_tflite, run=how.run_session("litert")
    ),
    MobileFormat.TFLITE_INT8: how.Writer(
        file="model-int8.tflite",
        write=how.write_int8_tflite,
        run=how.run_session("litert"),
        quantized=True,
    ),
    MobileFormat.PTE: how.Writer(file="model.pte", write=how.write_pte, run=how.run_pte),
}


def export_mobile(
    source: "Path | onnx.ModelProto | Any",
    examples: Sequence[Tensors],
    out: Path,
    *,
    formats: Sequence[MobileFormat] = tuple(MobileFormat),
    float_bounds: Bounds = FLOAT,
    int8_bounds: Bounds = INT8,
) -> tuple[MobileArtifact, ...]:
    """Make mobile artifacts of a model, and check each against it.

    Parameters
    ----------
    source
        A bundle's directory, an ONNX file, an `onnx.ModelProto`, or a `torch.nn.Module`, which is
        left as it was.
    examples
        Inputs by name, as the model takes them. Along an axis where they differ in size the
        artifact takes other sizes too: `.ort` any, `.pte` those between the smallest and the
        largest, `.tflite` those of the examples.
    out
        Made where it is absent. A format that is not made leaves no file in it, an older one
        neither.
    float_bounds, int8_bounds
        How near an artifact must come to count as made, by its arithmetic.

    Returns
    -------
    tuple of MobileArtifact
        One for each format asked for, in that order; what can't be made says why.

    Raises
    ------
    InvalidData, InvalidModel, UsageError
        When the source or an example is unusable, whatever the format.
    StorageError
        When `out` can't be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=out) as folder:
            aside = Path(folder)
            origin = open_origin(source, examples, aside)
            return tuple(
                _make(
                    one,
                    origin,
                    aside,
                    out,
                    int8_bounds if _WRITERS[one].quantized else float_bounds,
                )
                for one in formats
            )
    except OSError as failure:
        what = f"can't write: {failure.strerror or failure}"
        raise StorageError(
            what, where=str(out), hint="free some space or pick another place"
        ) from failure


def _make(
    one: MobileFormat, origin: Origin, aside: Path, out: Path, bounds: Bounds
) -> MobileArtifact:
    writer = _WRITERS[one]
    made, final = aside / writer.file, out / writer.file
    final.unlink(missing_ok=True)
    try:
        if not made.exists():
            writer.write(origin, made)
        found = compare(writer.run(made, origin), origin.expected)
    except MissingExtra as missing:
        why = f"{missing.what}: {missing.hint}"
        return MobileArtifact(format=one, made=False, why=why)
    except (InvalidModel, InvalidData) as wrong:
        return MobileArtifact(format=one, made=False, why=wrong.what)
    except ValueError as differs:
        return MobileArtifact(format=one, made=False, why=str(differs))
    reasons = found.reasons(bounds)
    if not reasons:
        made.replace(final)
    return MobileArtifact(
        format=one,
        made=not reasons,
        why="; ".join(reasons),
        path=None if reasons else str(final),
        size_bytes=0 if reasons else final.stat().st_size,
        sha256="" if reasons else hash_file(final),
        max_abs_error=found.max_abs_error,
        cosine=found.cosine,
        agreement=found.agreement,
    )
