"""A bundle served by a process of its own, on a free port of this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from gateways import troubles


def start(bundle: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start `edgewise serve`; give the process and the URL once it listens."""
    command = [sys.executable, "-m", "edgewise", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready: ")
    return process, line.removeprefix("ready: ").strip()


def start_json(bundle: Path) -> tuple[subprocess.Popen[str], str]:
    """Start it with `--json`; give the process and the line that it prints once it listens."""
    command = [sys.executable, "-m", "edgewise", "serve", str(bundle), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline()


def stop(process: subprocess.Popen[str]) -> int:
    """End a server, which had no trouble, and give its exit code."""
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert troubles(said) == [], said
    return process.returncode
