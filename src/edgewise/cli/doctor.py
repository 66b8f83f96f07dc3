"""`edgewise doctor`: what this machine can run."""

import click

from edgewise.cli.show import print_json, say
from edgewise.records import encode
from edgewise.units import format_bytes


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(*, as_json: bool) -> int:
    """Say what this machine can run, what is missing, and the command to get it."""
    from edgewise.profile import doctor  # noqa: PLC0415 - loaded when needed

    found = doctor()
    if as_json:
        print_json(encode(found))
        return 0
    say(f"edgewise  {found.edgewise_version}, Python {found.python_version}")
    say(f"cpu       {found.cpu}, {found.cores} cores")
    say(f"features  {', '.join(found.cpu_features) or 'none that matter here'}")
    free = format_bytes(found.disk_free_bytes)
    say(f"memory    {format_bytes(found.memory_bytes)}, disk free {free}")
    for title, parts in (("runtimes", found.runtimes), ("extras", found.extras)):
        say(f"\n{title}")
        for part in parts:
            mark = "ok " if part.found else "-- "
            say(f"  {mark} {part.name:<14} {part.version if part.found else part.command}")
    return 0
