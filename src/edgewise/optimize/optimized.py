"""What `ModelOptimizer` gives back: a model, what was done to it, and what it came from."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import StorageError, UsageError
from edgewise.optimize.mobile.export import MobileArtifact
from edgewise.runtimes import Session, find_runtime, read_manifest, write_manifest
from edgewise.runtimes.protocol import Tensors
from edgewise.runtimes.weights import weights_beside

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatOrigin:
    """What every recipe starts from again. Made when a caller's model is opened."""

    model: bytes = field(repr=False)
    """ONNX."""
    name: str
    """The file, the bundle or the module's class."""
    recipe: tuple[str, ...] = ()
    """What had been done before it came here, as a bundle's manifest or `distill` says."""
    bundle: Path | None = None
    module: Any = field(default=None, repr=False)
    """The torch module that it was exported from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MobileFile:
    """A mobile artifact with its bytes; empty where it was not made."""

    artifact: MobileArtifact
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimizedModel:
    """A model and how it came about. Made by `ModelOptimizer`, taken by each of its methods."""

    model: bytes = field(repr=False)
    """ONNX."""
    origin: FloatOrigin
    words: tuple[str, ...] = ()
    """The recipe since the origin, in the order it was carried out."""
    samples: tuple[Tensors, ...] = field(default=(), repr=False)
    """Sample inputs that steps were given; a step that is done again sees them again."""
    examples: tuple[Tensors, ...] = field(default=(), repr=False)
    """Inputs that the mobile files were checked on."""
    mobile: tuple[MobileFile, ...] = ()
    notes: tuple[str, ...] = ()
    """What a step did otherwise than its call says, and why; a sentence each."""

    @property
    def recipe(self) -> tuple[str, ...]:
        """All that was done to it, in order."""
        return (*self.origin.recipe, *self.words)

    def proto(self) -> "onnx.ModelProto":
        """Give the ONNX form, read anew."""
        with extras.needed("optimize"):
            import onnx  # noqa: PLC0415 - optional

        return onnx.load_from_string(self.model)

    def source(self) -> "onnx.ModelProto":
        """Give the float model that recipes start from, read anew."""
        with extras.needed("optimize"):
            import onnx  # noqa: PLC0415 - optional

        return onnx.load_from_string(self.origin.model)

    @property
    def format(self) -> str:
        """`ort` once it was made for mobile devices, else `onnx`."""
        return "ort" if self._ort is not None else "onnx"

    @property
    def content(self) -> bytes:
        """The model's file in its format."""
        return self.model if self._ort is None else self._ort.content

    @property
    def size_bytes(self) -> int:
        """Bytes of that file."""
        return len(self.content)

    @property
    def _ort(self) -> MobileFile | None:
        made = (one for one in self.mobile if one.artifact.format.value == "ort")
        return next((one for one in made if one.artifact.made), None)

    @contextmanager
    def open(self, *, threads: int = 1) -> Iterator[Session]:
        """Load it once for many runs."""
        with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
            path = Path(folder) / f"model.{self.format}"
            path.write_bytes(self.content)
            session = find_runtime("onnxruntime").load(path, threads=threads)
        try:
            yield session
        finally:
            session.close()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[np.generic]]:
        """Give all outputs by name for one batch of arrays or tensors; loads the model each time.

        Raises
        ------
        InvalidData
            When an input is absent or has a wrong shape or type.
        """
        plain = {
            name: np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
            for name, value in inputs.items()
        }
        with self.open() as session:
            return session.run(plain)

    def save(self, path: str | Path) -> Path:
        """Write the model's file, or, where it came from a bundle, a bundle.

        Parameters
        ----------
        path
            Ends as the format does (`.onnx` or `.ort`; a mobile one may be written as either, or
            as another format that was made); without an end it is a bundle's directory, which
            must not exist.

        Returns
        -------
        Path
            The one given.

        Raises
        ------
        UsageError
            When there is nothing of that form.
        StorageError
            When it can't be written.
        """
        path = Path(path)
        try:
            if not path.suffix:
                return self._save_bundle(path)
            aside = path.with_name(f".{path.name}.making")
            aside.write_bytes(self._content_for(path))
            return aside.replace(path)
        except OSError as failure:
            what = f"can't write: {failure.strerror or failure}"
            hint = "free some space or pick another place"
            raise StorageError(what, where=str(path), hint=hint) from failure

    def _content_for(self, path: Path) -> bytes:
        made = {".onnx": self.model}
        for one in self.mobile:
            if one.artifact.path is not None:
                made.setdefault(Path(one.artifact.path).suffix, one.content)
        if path.suffix not in made:
            hint = f"there is: {', '.join(made)}; `optimize_for_mobile` makes others"
            raise UsageError(f"no `{path.suffix}` was made", where=str(path), hint=hint)
        return made[path.suffix]

    def _save_bundle(self, path: Path) -> Path:
        source = self.origin.bundle
        if source is None:
            what = f"it came from {self.origin.name}, which is no bundle"
            raise UsageError(what, where=str(path), hint="give a file's name that ends in .onnx")
        if path.exists():
            raise UsageError("it exists", where=str(path), hint="give a name that is free")
        manifest = read_manifest(source)
        model = f"model.{self.format}"
        with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
            aside = Path(folder) / "bundle"
            aside.mkdir()
            # What lay beside the source's model is in this one.
            model_file = source / manifest.model
            replaced = {model_file, *weights_beside(model_file).values()}
            for name in manifest.files:
                if source / name not in replaced:
                    (aside / name).parent.mkdir(parents=True, exist_ok=True)
                    (aside / name).write_bytes((source / name).read_bytes())
            (aside / model).write_bytes(self.content)
            made = replace(
                manifest,
                model=model,
                runtime="onnxruntime",
                recipe=self.recipe,
                fidelity=manifest.fidelity if not self.words else None,
            )
            write_manifest(aside, made)
            return aside.replace(path)
