"""`edgewise predict`: one text or file through the engine of a run."""

from pathlib import Path
from typing import Any

import click

from edgewise.cli.secrets import read_secret
from edgewise.cli.show import print_json, say
from edgewise.errors import UsageError
from edgewise.records import Input, Policy, read_json


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
    from edgewise.observe import DecisionLog  # noqa: PLC0415 - loaded when needed
    from edgewise.route import HybridInferenceEngine  # noqa: PLC0415 - heavy

    policy = read_json(Policy, run / "policy.json")
    inputs = [dict(one, **{policy.privacy.flag: private}) for one in _inputs(policy, text, file)]
    keys = [tier.api_key for tier in policy.tiers if tier.api_key is not None]
    with DecisionLog(run / "decisions.sqlite") as log:
        engine = HybridInferenceEngine(
            edge_model_path=run / "bundle",
            policy=policy,
            cloud_api_key=read_secret(keys[0]) if keys else None,
            decision_log=log,
        )
        with engine:
            results = [
                engine.predict_sync(one, force_location=force_location, deadline_ms=deadline_ms)
                for one in inputs
            ]
    if as_json:
        shown = [dict(result) for result in results]
        print_json(shown[0] if file is None or len(shown) == 1 else {"results": shown})
        return 0
    for result in results:
        _show(result, explain=explain)
    return 0


def _inputs(policy: Policy, text: str | None, file: Path | None) -> list[Input]:
    if (text is None) == (file is None):
        raise UsageError(
            "give either --text or --file", hint="edgewise predict RUN --text 'some text'"
        )
    if text is not None:
        return [{"text": text}]
    assert file is not None
    if policy.task == "image-classification":
        return [{"image": str(file)}]
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        what = f"can't be read as UTF-8 text: {failure}"
        raise UsageError(
            what, where=str(file), hint="give a text file, one text a line"
        ) from failure
    return [{"text": line} for line in lines if line.strip()]


def _show(result: Any, *, explain: bool) -> None:
    cost = f"{result.cost:.4f} USD" if result.cost else "no cost"
    say(
        f"{result.prediction}  {result.confidence:.1%}  from {result.location} "
        f"in {result.latency_ms:.1f} ms, {cost}"
    )
    if explain:
        for line in result.explain():
            say(f"  {line}")
