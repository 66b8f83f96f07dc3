"""`edgewise policy`: a policy for people to read, and what differs between two."""

import json
from pathlib import Path

import click

from edgewise.cli.show import print_json, say
from edgewise.records import Effect, Policy, PolicyDiff, digest, encode

_HEADS = {
    Effect.LOOSENS: "loosens: more may leave the device, less is promised, or more may be spent",
    Effect.TIGHTENS: "tightens",
    Effect.CHANGES: "changes otherwise",
}
_MOST_SHOWN = 60


@click.group("policy")
def command() -> None:
    """Show a policy, or what differs between two: each a policy.json or a run directory."""


@command.command("show")
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def show(policy: Path, *, as_json: bool) -> int:
    """Show POLICY with its version, which is its hash."""
    from edgewise.pipeline import open_policy  # noqa: PLC0415 - heavy
    from edgewise.route import shown_policy  # noqa: PLC0415 - heavy

    found = open_policy(policy)
    if as_json:
        print_json({"version": digest(found), "policy": shown_policy(found)})
    else:
        _show(found)
    return 0


@command.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def diff(before: Path, after: Path, *, as_json: bool) -> int:
    """Show what differs between the policies BEFORE and AFTER, what loosens first."""
    from edgewise.pipeline import open_policy  # noqa: PLC0415 - heavy
    from edgewise.route import compare_policies  # noqa: PLC0415 - heavy

    found = compare_policies(open_policy(before), open_policy(after))
    if as_json:
        print_json(encode(found))
    else:
        say(f"before  {found.before[:12]}  {before}")
        say(f"after   {found.after[:12]}  {after}")
        _show_diff(found)
    return 0


def _show(policy: Policy) -> None:
    from edgewise.route import shown_policy  # noqa: PLC0415 - heavy

    say(f"version {digest(policy)}")
    for name, value in shown_policy(policy).items():
        if name == "tiers":
            for tier in value:
                say(f"tier {tier['name']}")
                for key, held in tier.items():
                    if key != "name":
                        say(f"  {key}: {_short(held)}")
        elif isinstance(value, dict):
            say(name)
            for key, held in value.items():
                say(f"  {key}: {_short(held)}")
        elif name != "schema_version":
            say(f"{name}: {_short(value)}")


def _show_diff(found: PolicyDiff) -> None:
    if not found.changes:
        say("both say the same")
    for effect, head in _HEADS.items():
        changes = [one for one in found.changes if one.effect is effect]
        if changes:
            say()
            say(f"{head} ({len(changes)})")
        for one in changes:
            say(f"  {one.path}: {_short(one.before)} → {_short(one.after)}")
            say(f"    {one.meaning}")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
