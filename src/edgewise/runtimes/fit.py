"""Which runtimes can run a bundle here, and what brings those that are missing."""

from dataclasses import dataclass
from pathlib import Path

from edgewise.errors import InvalidModel, MissingExtra
from edgewise.runtimes.bundle import RUNTIMES, read_manifest
from edgewise.runtimes.protocol import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFit:
    """What one runtime can do with a bundle. Made by `find_fits`, read by who chooses one."""

    runtime: str
    runs: bool
    version: str = ""
    """Empty where it is not installed."""
    why: str = ""
    """Why it does not run the bundle."""
    command: str = ""
    """Brings the runtime where it is missing."""


def find_fits(folder: Path, *, verify: bool = True) -> tuple[RuntimeFit, ...]:
    """Try each runtime on a bundle, in the order of `RUNTIMES`.

    One that is not installed, reads other files, or lacks an operator is in the answer with the
    reason. The model is loaded once by each that reads its form, since only that tells.

    Raises
    ------
    InvalidModel
        When the folder is no bundle.
    IntegrityError
        When a byte of it differs from the manifest's hash.
    """
    model = folder / read_manifest(folder, verify=verify).model
    return tuple(_try(runtime, model) for runtime in RUNTIMES)


def _try(runtime: Runtime, model: Path) -> RuntimeFit:
    if model.suffix not in runtime.formats:
        why = f"it loads {' and '.join(runtime.formats)}, and the model is {model.name}"
        return RuntimeFit(runtime=runtime.name, runs=False, why=why)
    try:
        version = runtime.version()
        runtime.load(model).close()
    except MissingExtra as missing:
        return RuntimeFit(runtime=runtime.name, runs=False, why=missing.what, command=missing.hint)
    except InvalidModel as wrong:
        return RuntimeFit(runtime=runtime.name, runs=False, version=version, why=wrong.what)
    return RuntimeFit(runtime=runtime.name, runs=True, version=version)
