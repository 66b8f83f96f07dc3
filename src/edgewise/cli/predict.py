"""`edgewise predict`: one text or file through the engine of a run."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from edgewise.cli.show import print_failure, print_json, say, to_stderr
from edgewise.errors import EdgewiseError, InvalidData, StorageError, UsageError
from edgewise.records import Decision, Input, Policy, read_json

if TYPE_CHECKING:
    from edgewise.observe import Auditor, DecisionLog


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--text", help="the text to answer")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="an image, or a UTF-8 file with one text a line",
)
@click.option("--private", is_flag=True, help="the input may not leave the device")
@click.option("--force-location", help="answer at this tier, where privacy allows it")
@click.option("--deadline-ms", type=float, help="answer within this time")
@click.option("--explain", is_flag=True, help="print the decision step by step")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: Path,
    text: str | None,
    file: Path | None,
    force_location: str | None,
    deadline_ms: float | None,
    *,
    private: bool,
    explain: bool,
    as_json: bool,
) -> int:
    """Answer --text or --file through the engine of RUN, and log the decision in RUN.

    With --json a text or an image gives one result; a file of texts gives `results`, of one line
    too. At a line that can't be answered it stops, with the results before it and why.
    """
    from edgewise.observe import DriftWatch  # noqa: PLC0415 - heavy
    from edgewise.route import HybridInferenceEngine  # noqa: PLC0415 - heavy

    policy = read_json(Policy, run / "policy.json")
    inputs = _inputs(policy, text, file)
    results: list[Any] = []
    with _LogOnUse(run / "decisions.sqlite") as log, _audit(run, policy) as auditor:
        engine = HybridInferenceEngine(
            edge_model_path=run / "bundle",
            policy=run / "policy.json",
            decision_log=log,
            auditor=auditor,
            drift=(drift := DriftWatch()),
        )

        def answer(one: Input) -> None:
            asked = {**one, policy.privacy.flag: private}
            results.append(engine.predict_sync(asked, force_location, deadline_ms))
            if not as_json:
                _show(results[-1], explain=explain)

        with engine:
            failure = _first_failure(inputs, answer)
    for one in drift.warnings:
        to_stderr(f"inputs differ from the calibration split's: {one.code}, p {one.p_value:.2g}")
    shown = [dict(result) for result in results]
    if failure is not None:
        to_stderr(f"{len(shown)} of {len(inputs)} texts have their answer")
        to_stderr(f"error: {failure}")
        return print_failure(failure, as_json=as_json, beside={"results": shown})
    if as_json:
        print_json({"results": shown} if inputs[0][0] else shown[0])
    return 0


@contextmanager
def _audit(run: Path, policy: Policy) -> Iterator["Auditor | None"]:
    """Give the run's auditor, so that a void certificate is known; none while a server has it."""
    if policy.audit is None:
        yield None
        return
    from edgewise.observe import AuditFile, Auditor  # noqa: PLC0415 - loaded when needed

    try:
        file = AuditFile(run / "audit.sqlite")
    except StorageError as taken:
        to_stderr(f"not audited: {taken.what}")
        yield None
        return
    with closing(Auditor(file, rng=random.Random())) as auditor:
        yield auditor


class _LogOnUse:
    """The run's decision log, begun at the first decision: a run that can't be opened gets none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._log: DecisionLog | None = None

    def __enter__(self) -> "_LogOnUse":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def append(self, decision: Decision) -> None:
        """Add a decision."""
        if self._log is None:
            from edgewise.observe import DecisionLog  # noqa: PLC0415 - loaded when needed

            self._log = self._open.enter_context(DecisionLog(self._path))
        self._log.append(decision)


def _first_failure(
    inputs: Sequence[tuple[str, Input]], answer: Callable[[Input], None]
) -> EdgewiseError | None:
    """Answer inputs up to the first line of a file that can't be; give why, with its place."""
    for where, one in inputs:
        try:
            answer(one)
        except EdgewiseError as failed:
            if not where:
                raise
            failed.where = ": ".join(filter(None, (where, failed.where)))
            return failed
    return None


def _inputs(policy: Policy, text: str | None, file: Path | None) -> list[tuple[str, Input]]:
    """Give the inputs; each line of a file with its place."""
    if (text is None) == (file is None) or (text is not None and not text.strip()):
        hint = "edgewise predict RUN --text 'some text'"
        raise UsageError("give either a text or a file", where="--text, --file", hint=hint)
    if text is not None:
        return [("", {"text": text})]
    assert file is not None
    if policy.task == "image-classification":
        return [("", {"image": str(file)})]
    hint = "give a UTF-8 file, one text a line"
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        raise InvalidData("not UTF-8", where=f"{file}:{line}", hint=hint) from wrong
    except OSError as failure:
        what = f"can't be read: {failure.strerror}"
        raise InvalidData(what, where=str(file), hint=hint) from failure
    found: list[tuple[str, Input]] = [
        (f"{file}:{number}", {"text": line.strip()})
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not found:
        raise InvalidData("no text in it", where=str(file), hint=hint)
    return found


def _show(result: Any, *, explain: bool) -> None:
    cost = f"{result.cost:.4f} USD" if result.cost else "no cost"
    say(
        f"{result.prediction}  {result.confidence:.1%}  from {result.location} "
        f"in {result.latency_ms:.1f} ms, {cost}"
    )
    if explain:
        for line in result.explain():
            say(f"  {line}")
