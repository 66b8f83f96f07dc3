"""`edgewise predict`: one text or file through the engine of a run."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from edgewise.cli.show import print_json, say, to_stderr
from edgewise.errors import InvalidData, StorageError, UsageError
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
    """Answer --text or --file through the engine of RUN, and log the decision in RUN."""
    from edgewise.observe import DriftWatch  # noqa: PLC0415 - heavy
    from edgewise.route import HybridInferenceEngine  # noqa: PLC0415 - heavy

    policy = read_json(Policy, run / "policy.json")
    inputs = [dict(one, **{policy.privacy.flag: private}) for one in _inputs(policy, text, file)]
    with _LogOnUse(run / "decisions.sqlite") as log, _audit(run, policy) as auditor:
        engine = HybridInferenceEngine(
            edge_model_path=run / "bundle",
            policy=run / "policy.json",
            decision_log=log,
            auditor=auditor,
            drift=(drift := DriftWatch()),
        )
        with engine:
            results = [
                engine.predict_sync(one, force_location=force_location, deadline_ms=deadline_ms)
                for one in inputs
            ]
    for one in drift.warnings:
        to_stderr(f"inputs differ from the calibration split's: {one.code}, p {one.p_value:.2g}")
    if as_json:
        shown = [dict(result) for result in results]
        print_json(shown[0] if file is None or len(shown) == 1 else {"results": shown})
        return 0
    for result in results:
        _show(result, explain=explain)
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


def _inputs(policy: Policy, text: str | None, file: Path | None) -> list[Input]:
    if (text is None) == (file is None) or text == "":
        hint = "edgewise predict RUN --text 'some text'"
        raise UsageError("give either a text or a file", where="--text, --file", hint=hint)
    if text is not None:
        return [{"text": text}]
    assert file is not None
    if policy.task == "image-classification":
        return [{"image": str(file)}]
    hint = "give a UTF-8 file, one text a line"
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        raise InvalidData("not UTF-8", where=f"{file}:{line}", hint=hint) from wrong
    except OSError as failure:
        what = f"can't be read: {failure.strerror}"
        raise InvalidData(what, where=str(file), hint=hint) from failure
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise InvalidData("no text in it", where=str(file), hint=hint)
    return [{"text": text} for text in texts]


def _show(result: Any, *, explain: bool) -> None:
    cost = f"{result.cost:.4f} USD" if result.cost else "no cost"
    say(
        f"{result.prediction}  {result.confidence:.1%}  from {result.location} "
        f"in {result.latency_ms:.1f} ms, {cost}"
    )
    if explain:
        for line in result.explain():
            say(f"  {line}")
