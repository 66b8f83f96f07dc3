"""The JSON form that every benchmark writes: claims, each with its bound, and where they are from.

A claim that falls short stays in the file with `"holds": false`. `stolen_share` says which part of
the processor time that was asked for a hypervisor gave to others, from the script's start on:
beyond a few hundredths, times are those of the neighbours.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgewise.profile import describe_target
from edgewise.profile.machine import installed_version
from edgewise.records import write_text

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("edgewise", "numpy", "onnx", "onnxruntime", "scikit-learn", "tokenizers", "torch")
_STAT = Path("/proc/stat")
_NEEDED = ("claim", "value", "bound", "better", "holds", "runs")


def _used_and_stolen() -> tuple[int, int]:
    """Give the ticks that this machine's processors worked, and those that they waited to work.

    Linux counts them; elsewhere nothing is known to be stolen.
    """
    if not _STAT.exists():
        return 0, 0
    head = _STAT.read_text(encoding="ascii").split("\n", 1)[0]
    user, nice, system, _idle, _io, irq, softirq, stolen = map(int, head.split()[1:9])
    return user + nice + system + irq + softirq, stolen


def watch_stolen() -> Callable[[], float]:
    """Give what tells the part of the processor time asked for from now on that went to others."""
    before = _used_and_stolen()

    def share() -> float:
        used, stolen = (now - then for now, then in zip(_used_and_stolen(), before, strict=True))
        return round(stolen / max(1, used + stolen), 3)

    return share


stolen_share = watch_stolen()


def claim(
    name: str,
    value: float,
    bound: float,
    *,
    runs: int,
    better: str = "lower",
    peers: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Give a claim; it holds where `value` is on the better side of `bound`, or on it.

    Parameters
    ----------
    name
        Ends with its unit.
    better
        `lower` or `higher`.
    peers
        The same of others, from the same runs.
    """
    holds = value <= bound if better == "lower" else value >= bound
    return {
        "claim": name,
        "value": value,
        "bound": bound,
        "better": better,
        "holds": holds,
        "peers": dict(peers or {}),
        "runs": runs,
    }


def write(name: str, claims: Sequence[Mapping[str, Any]], *, keep: bool = False) -> Path:
    """Print the claims as a table, write `results/NAME.json`, and give its path.

    With `keep` the claims in it that other scripts made stay; those of another CPU say which one
    it was, and when.
    """
    for one in claims:
        absent = [key for key in _NEEDED if key not in one]
        if absent:
            raise ValueError(f"claim {one.get('claim')!r} lacks {', '.join(absent)}")
    stolen = stolen_share()
    target = describe_target(1, "onnxruntime")
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if keep and path.exists() else {}
    new = {one["claim"] for one in claims}
    kept = [
        _placed(one, before, target.cpu)
        for one in before.get("claims", ())
        if one["claim"] not in new
    ]
    found = {
        "schema_version": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": target.cpu,
            "cpu_features": list(target.cpu_features),
            "cores": target.cores,
            "memory_bytes": target.memory_bytes,
        },
        "versions": {
            package: version for package in _PACKAGES if (version := installed_version(package))
        },
        "claims": [*kept, *({**one, "stolen_share": stolen} for one in claims)],
    }
    write_text(path, json.dumps(found, indent=2, allow_nan=False) + "\n")
    for one in claims:
        sign = "<=" if one["better"] == "lower" else ">="
        peers = ", ".join(f"{peer} {value:g}" for peer, value in one.get("peers", {}).items())
        print(
            f"{'holds' if one['holds'] else 'FALLS SHORT':<12}{one['claim']:<36}"
            f"{one['value']:>10g} {sign} {one['bound']:g}{'  (' + peers + ')' if peers else ''}"
        )
    print(f"wrote {path}; {stolen:.1%} of the processor time went to other machines")
    return path


def _placed(one: Mapping[str, Any], before: Mapping[str, Any], cpu: str) -> dict[str, Any]:
    """Give a claim of the file before, with its CPU and date where they are not the new file's."""
    was = before["machine"]["cpu"]
    if was == cpu or "cpu" in one:
        return dict(one)
    return {**one, "cpu": was, "date": before["date"]}
