"""`ModelOptimizer`: quantize, prune, distil, search, export and measure one model in hand.

A composer: `optimize` makes the models, `profile` measures them. All that is heavy is imported by
the method that needs it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewise import extras
from edgewise.records import Progress, silent

if TYPE_CHECKING:
    from edgewise.optimize.mobile import MobileFormat
    from edgewise.optimize.optimized import OptimizedModel
    from edgewise.optimize.steps import Quantization, Structure
    from edgewise.optimize.training import (
        LossWeights,
        StudentShape,
        TrainingSettings,
    )
    from edgewise.pipeline.impact import OptimizationImpact, Timing
    from edgewise.pipeline.trying import SearchOutcome

_USUAL_MINUTES = 2.0
"""Of a search that was given nothing to try."""


class ModelOptimizer:
    """Makes a model smaller and faster, and says what that bought and cost.

    Each method takes an `nn.Module`, the path of an ONNX file, of a bundle, of a TorchScript file
    (`.pt`) or of an exported program (`.pt2`), or the `OptimizedModel` that another method gave.
    What is given is never changed; opening a torch file runs the code in it. Methods compose: each
    carries the whole recipe out again on the float model, so a later step never undoes an earlier
    one; where the order of the calls can't work (pruning after quantizing) the one that can is
    taken, and `OptimizedModel.notes` says so.

    Data may be a tensor or an array (for a model of one input), a dict of them by the model's
    input names, or a list of these, one an example. Tensors have their batch axis first; a whole
    tensor or dict is cut along it.

    Parameters
    ----------
    threads
        Of timing and training.
    seed
        Of training and of the intervals.
    reduce_range
        Store 8-bit weights in 7 bits, which CPUs without VNNI need to sum them exactly; by default
        as this machine needs it.
    progress
        Told of what takes long.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        seed: int = 0,
        reduce_range: bool | None = None,
        progress: Progress = silent,
    ) -> None:
        self._threads = threads
        self._seed = seed
        self._given_range = reduce_range
        self._progress = progress

    def quantize_model(
        self,
        model: Any,
        calibration_data: object = None,
        quantization_type: "Quantization | str" = "dynamic",
    ) -> "OptimizedModel":
        """Give the model in fewer bits.

        Parameters
        ----------
        calibration_data
            Sample inputs: `static` takes its ranges from them, and a module is exported by them.
            `dynamic` and `int4` of an ONNX file or a bundle need none.
        quantization_type
            `dynamic` (8 bits, ranges found at each run), `static` (8 bits, fixed ranges, QDQ) or
            `int4` (weights in 4 bits by blocks of 32, computed in float). The layer that gives a
            classifier's logits stays in float.

        Raises
        ------
        InvalidData
            When the data is empty, or of a wrong type or shape, or has NaN.
        InvalidModel
            When the model can't be read, exported or quantized, or gives NaN.
        UsageError
            When the type is unknown, or a module is given without data.
        """
        with extras.needed("optimize"):
            from edgewise.optimize.steps import quantize  # noqa: PLC0415 - heavy

        opened, samples = self._open(model, calibration_data, "calibration_data")
        return quantize(opened, samples, quantization_type, reduce_range=self._reduce_range())

    def prune_model(
        self,
        model: Any,
        pruning_amount: float,
        structured: bool = True,  # noqa: FBT001, FBT002 - the published signature
        *,
        structures: "Sequence[Structure | str]" = (),
        sample_data: object = None,
    ) -> "OptimizedModel":
        """Give the model without a share of its structure: a smaller file, and a faster run.

        Parameters
        ----------
        pruning_amount : in [0, 1)
            The share that goes of each group, rounded down: of the hidden neurons between two
            linear layers (a transformer's FFN, an MLP, a pooler), and of the convolution channels
            that are tied together. It is no share of all bytes: embeddings, attention and the
            layers' outer widths stay. Pruning twice takes the second share of what the first left.
        structured
            False sets that share of all single weights to zero, the smallest: this buys compressed
            size alone, and a note says how much.
        structures
            What to take the share of, instead: `ffn`, `heads`, `channels`, `layers`.
        sample_data
            Sample inputs. With them, or with those of an earlier step, what is least needed goes,
            and the layers that read it are fitted again; without, weights alone decide.

        Raises
        ------
        InvalidData
            When the data is empty, or of a wrong type or shape, or has NaN.
        InvalidModel
            When there is nothing of the kind to remove.
        UsageError
            When the amount is outside [0, 1) or a structure is unknown; or a module is given that
            does not tell what it takes, without data.
        """
        with extras.needed("optimize"):
            from edgewise.optimize.steps import (  # noqa: PLC0415 - heavy
                prune_structures,
                prune_weights,
            )

        opened, samples = self._open(model, sample_data, "sample_data")
        reduce_range = self._reduce_range()
        if not structured:
            return prune_weights(opened, pruning_amount, samples, reduce_range=reduce_range)
        return prune_structures(
            opened, pruning_amount, structures, samples, reduce_range=reduce_range
        )

    def optimize_for_mobile(
        self,
        model: Any,
        example_input: object,
        *,
        out: str | Path | None = None,
        formats: "Sequence[MobileFormat | str] | None" = None,
    ) -> "OptimizedModel":
        """Give the model with its mobile files, each loaded again and compared before it counts.

        The result runs and is measured as ONNX Runtime's `.ort`. `.tflite` and `.pte` are made of
        the torch module where no step has changed it, else of the graph, so that a pruned model
        stays pruned. What has no form there (8-bit operators above all) is named in a note.

        Parameters
        ----------
        out
            A directory that gets the files too.
        formats
            By default all: `ort`, `tflite`, `tflite-int8`, `pte`. A note says why one is not made.

        Raises
        ------
        InvalidData, InvalidModel, UsageError
            When the model or an example can't be used.
        StorageError
            When `out` can't be written.
        """
        with extras.needed("optimize"):
            from edgewise.optimize.mobile import MobileFormat  # noqa: PLC0415 - heavy
            from edgewise.optimize.steps import make_mobile  # noqa: PLC0415 - heavy

        opened, examples = self._open(model, example_input, "example_input", needed=True)
        chosen = list(MobileFormat) if formats is None else formats
        return make_mobile(opened, examples, None if out is None else Path(out), chosen)

    def distill(
        self,
        teacher: Any,
        student: "Any | StudentShape | int",
        data: object,
        *,
        labels: object = None,
        weights: "LossWeights | None" = None,
        settings: "TrainingSettings | None" = None,
    ) -> "OptimizedModel":
        """Train a small module on what a large one answers, and give it as a model to go on with.

        Parameters
        ----------
        teacher
            An `nn.Module`.
        student
            An `nn.Module`, of which a copy is trained; or a shape, or a number of layers, to make
            one from the teacher.
        data
            Examples; labels are not needed.
        weights, settings
            What the loss counts, and how to train; by default the teacher's logits, three epochs.

        Returns
        -------
        OptimizedModel
            `origin.module` is the trained module, and a note says how training went.

        Raises
        ------
        InvalidData, InvalidModel, UsageError
            When teacher, student and data don't fit each other.
        """
        with extras.needed("torch"):
            from edgewise.optimize.students import distil_model  # noqa: PLC0415 - heavy
            from edgewise.optimize.training import TrainingSettings  # noqa: PLC0415 - heavy

        chosen = settings or TrainingSettings(seed=self._seed, threads=self._threads)
        return distil_model(teacher, student, data, labels, weights=weights, settings=chosen)

    def search_architecture(
        self,
        model: Any,
        sample_data: object,
        *,
        recipes: Sequence[str] | None = None,
        students: "Sequence[StudentShape | int]" = (),
        minutes: float | None = None,
        min_agreement: float = 0.95,
        rounds: int = 16,
    ) -> "SearchOutcome":
        """Try recipes and student shapes, measure each beside the original, choose the fastest.

        With minutes it also proposes by itself: depth, shares of neurons, heads and channels, and
        the form of numbers together, by the search of `edgewise optimize --search`; from three
        minutes on and with torch also students that learn from the original. What none beats in
        everything is then timed in turn with what was given.

        Parameters
        ----------
        sample_data
            Examples: to make, to compare the answers and to time.
        recipes
            Such as `prune-ffn:0.25,int8-dynamic`; by default a few of each kind.
        students
            Shapes, or numbers of layers, to distil from a module on the same examples.
        minutes
            Of the search; by default 2 where neither recipes nor students are given, else 0.
        min_agreement
            Share of the examples on which a model must answer as the original to be chosen. Measure
            it on data that is held out before you ship.

        Raises
        ------
        InvalidData, InvalidModel, UsageError
            When the model or the data can't be used; what does not fit alone is out, with why.
        """
        with extras.needed("optimize"):
            from edgewise.optimize.recipe import parse  # noqa: PLC0415 - heavy
            from edgewise.optimize.steps import take  # noqa: PLC0415 - heavy
            from edgewise.pipeline.searching import (  # noqa: PLC0415 - heavy
                ModelSurvey,
                Search,
                propose,
            )
            from edgewise.pipeline.trying import RECIPES, Maker, try_all  # noqa: PLC0415 - heavy

        opened, samples = self._open(model, sample_data, "sample_data", needed=True)
        makers: list[tuple[str, Maker]] = []
        for text in RECIPES if recipes is None else recipes:
            words = parse(text)
            how = {"reduce_range": self._reduce_range()}
            makers.append((text, partial(take, opened, words, samples, **how)))
        if minutes is None:
            minutes = _USUAL_MINUTES if recipes is None and not students else 0.0
        if minutes > 0.0:
            survey = ModelSurvey(
                opened,
                samples,
                search=Search(minutes=minutes, seed=self._seed, reduce_range=self._reduce_range()),
                min_agreement=min_agreement,
                timing=self._timing(rounds),
            )
            makers += propose(survey, [text for text, _ in makers])
        for shape in students:
            makers.append((f"distill {shape}", partial(self.distill, model, shape, sample_data)))
        return try_all(
            opened,
            makers,
            samples,
            min_agreement=min_agreement,
            timing=self._timing(rounds),
        )

    def measure_optimization_impact(
        self,
        original: Any,
        optimized: Any,
        test_data: object,
        test_labels: object = None,
        *,
        rounds: int = 40,
    ) -> "OptimizationImpact":
        """Measure two models on the same examples, in fresh processes and in turn.

        Both run on ONNX Runtime, the original in its float form; so the difference is the recipe's
        and not the runtime's.

        Parameters
        ----------
        test_labels
            The number of the right class of each example; without them what the original answers
            counts as right.
        rounds
            Of timing, at least 2; each runs up to eight examples a model.

        Raises
        ------
        InvalidData
            When an example does not fit, or a label is outside the classes.
        InvalidModel
            When a model can't run or gives NaN.
        """
        with extras.needed("optimize"):
            from edgewise.optimize.opened import open_model  # noqa: PLC0415 - heavy
            from edgewise.optimize.optimized import OptimizedModel  # noqa: PLC0415 - heavy
            from edgewise.pipeline.impact import measure_impact  # noqa: PLC0415 - heavy

        second = open_model(optimized, test_data, "test_data")
        if original is second.origin.module and original is not None:
            first = OptimizedModel(model=second.origin.model, origin=second.origin)
        else:
            first = open_model(original, test_data, "test_data")
        return measure_impact(
            first,
            second,
            test_data,
            test_labels,
            timing=self._timing(rounds),
        )

    def _open(
        self, model: Any, data: object, where: str, *, needed: bool = False
    ) -> "tuple[OptimizedModel, tuple[Any, ...]]":
        with extras.needed("optimize"):
            from edgewise.optimize.examples import read_examples  # noqa: PLC0415 - heavy
            from edgewise.optimize.opened import open_model  # noqa: PLC0415 - heavy

        opened = open_model(model, data, where)
        if data is None and not needed:
            return opened, ()
        return opened, read_examples(opened.source(), data, where)

    def _timing(self, rounds: int) -> "Timing":
        from edgewise.pipeline.impact import Timing  # noqa: PLC0415 - heavy

        return Timing(
            rounds=rounds, threads=self._threads, seed=self._seed, progress=self._progress
        )

    def _reduce_range(self) -> bool:
        from edgewise.optimize.writing import has_vnni  # noqa: PLC0415 - heavy

        return not has_vnni() if self._given_range is None else self._given_range
