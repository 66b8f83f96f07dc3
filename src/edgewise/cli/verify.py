"""`edgewise verify`: whether a run is whole."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say


@click.command("verify")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: Path, *, as_json: bool) -> int:
    """Check hashes and schema versions of RUN, and that its parts belong together.

    Exit code 3: a check does not hold.
    """
    from edgewise.pipeline import verify_run  # noqa: PLC0415 - heavy

    checks = verify_run(run)
    holds = all(check.holds for check in checks)
    if as_json:
        shown = [{"name": c.name, "holds": c.holds, "detail": c.detail} for c in checks]
        print_json({"holds": holds, "checks": shown})
    else:
        for check in checks:
            say(f"{'ok  ' if check.holds else 'FAIL'}  {check.name}: {check.detail}")
    return 0 if holds else 3
