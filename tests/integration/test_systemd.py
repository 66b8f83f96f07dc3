"""The unit of `deploy/` under a systemd that really boots: it serves, reloads and ends well.

It needs root and a Linux with systemd, and takes namespaces of its own.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.records import Policy, encode, read_json

ROOT = Path(__file__).parents[2]
UNIT = "edgewise-gateway"
KEY = "a key of this test alone"
PORT = 8080

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Booted:
    """A systemd with the gateway's unit. Made by `booted`."""

    def __init__(self, pid: int) -> None:
        self._enter = ("nsenter", "--target", str(pid), "--mount", "--pid", "--net", "--cgroup")

    def run(self, *command: str) -> str:
        """Run a command beside the unit; gives what it prints."""
        ended = subprocess.run(
            [*self._enter, *command], capture_output=True, text=True, timeout=90, check=False
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def write(self, path: str, record: dict[str, Any]) -> None:
        """Write a file of JSON."""
        self.run("sh", "-c", 'printf %s "$1" > "$2"', "sh", json.dumps(record), path)

    def ask(self, path: str, *options: str) -> str:
        """Ask the gateway, once it listens."""
        url = f"http://127.0.0.1:{PORT}{path}"
        patient = ("--retry", "60", "--retry-all-errors", "--retry-delay", "1", "--max-time", "90")
        return self.run("curl", "--silent", "--fail", *patient, *options, url)

    def events(self) -> list[dict[str, Any]]:
        """Give what the gateway said to the journal."""
        said = self.run("journalctl", "--unit", UNIT, "--output", "cat", "--no-pager")
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def await_event(self, event: str) -> None:
        """Read what the gateway says until it tells of an event; pytest bounds the wait."""
        follow = ("journalctl", "--unit", UNIT, "--output", "cat", "--lines", "all", "--follow")
        with subprocess.Popen([*self._enter, *follow], stdout=subprocess.PIPE, text=True) as said:
            assert said.stdout is not None
            told = (json.loads(line)["event"] for line in said.stdout if line.startswith("{"))
            assert event in told
            said.terminate()

    def shown(self, name: str) -> str:
        """Give a property of the unit."""
        return self.run("systemctl", "show", UNIT, "--property", name, "--value").strip()


@contextmanager
def booted(configuration: Path) -> Iterator[Booted]:
    """Boot systemd with the unit and its configuration, in namespaces of its own."""
    site = sysconfig.get_path("purelib")
    command = ["unshare", "--fork", "--pid", "--mount", "--net", "--uts", "--cgroup"]
    command += ["--kill-child", str(Path(__file__).with_name("boot_systemd.sh"))]
    command += [str(configuration), str(ROOT / f"deploy/{UNIT}.service")]
    command += [sys.base_prefix, site, str(ROOT / "src")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as outer:
        try:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            while not (found := children.read_text().split()):
                assert outer.poll() is None, "it did not boot: root and systemd are needed"
            yield Booted(int(found[0]))
        finally:
            outer.kill()


def settings(run: Path, folder: Path) -> Path:
    """Write what docs/operations.md puts into /etc/edgewise."""
    shutil.copytree(run, folder / "run")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    (folder / "gateway.yaml").write_text(
        f"host: 127.0.0.1\nport: {PORT}\nlog: /var/lib/edgewise/decisions.db\n"
        f"callers:\n  - {{name: app, key_sha256: {digest}}}\n",
        encoding="utf-8",
    )
    return folder


def test_the_unit_serves_reloads_and_ends_well(finished_run: Path, tmp_path: Path) -> None:
    folder = settings(finished_run / "run", tmp_path / "edgewise")
    keyed = ("--header", f"authorization: Bearer {KEY}", "--data", '{"text": "a good day"}')
    with booted(folder) as machine:
        machine.ask("/readyz")
        answer = json.loads(machine.ask("/predict", *keyed))
        user = machine.run("ps", "-o", "user=", "-p", machine.shown("MainPID")).strip()

        policy = read_json(Policy, folder / "run" / "policy.json")
        machine.write("/etc/edgewise/run/policy.json", encode(replace(policy, deadline_ms=4321.0)))
        machine.run("systemctl", "reload", UNIT)
        machine.await_event("reload")
        again = json.loads(machine.ask("/predict", *keyed))
        machine.run("systemctl", "stop", UNIT)

        events = [one["event"] for one in machine.events()]
        log = machine.run("ls", "/var/lib/edgewise")
        ended = machine.shown("Result"), machine.shown("ExecMainStatus")

    assert answer["label"] == again["label"]
    assert user != "root"
    assert [one for one in events if one in ("ready", "reload", "drain", "stopped")] == [
        "ready",
        "reload",
        "drain",
        "stopped",
    ]
    assert "decisions.db" in log
    assert ended == ("success", "0")
