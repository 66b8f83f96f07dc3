"""Several processes on one port, asked by many: what they tell is what all of them did."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Load, next_event, run_directory, served

pytestmark = pytest.mark.integration


def counted(url: str, name: str) -> float:
    """Give a metric's sum over its labels, as a new connection sees it."""
    text = httpx2.get(f"{url}/metrics").text
    return sum(float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(name))


def stop(process: subprocess.Popen[str]) -> None:
    """End all of its processes: they hold its pipes too."""
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def dashboard(url: str) -> Any:
    return httpx2.get(f"{url}/dashboard/state").json()["state"]


def test_metrics_and_dashboard_add_up_over_workers_and_outlast_one(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with served(run, "--workers", "3") as (process, url):
        with Load(url, clients=12) as load:
            assert load.busy.wait(30)
        number = len(load.ids)
        seen = [counted(url, 'edgewise_requests_total{route="predict"') for _ in range(3)]
        decided = counted(url, "edgewise_decisions_total{")
        buckets = counted(url, 'edgewise_request_seconds_count{route="predict"}')
        shown = [dashboard(url) for _ in range(3)]
        stats = httpx2.get(f"{url}/v2/models/default/stats").json()
        newest = shown[0]["latest"][0]["request_id"]
        replayed = [
            httpx2.get(f"{url}/dashboard/decision", params={"id": newest}) for _ in range(4)
        ]

        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        next_event(process, "worker_ended")
        after_a_death = counted(url, 'edgewise_requests_total{route="predict"')
        with Load(url, clients=6) as again:
            assert again.busy.wait(30)
        after_more = counted(url, 'edgewise_requests_total{route="predict"')
        stop(process)

    assert load.failures == again.failures == []
    assert seen == [number] * 3
    assert (decided, buckets) == (number, number)
    assert [one["traffic"]["decisions"] for one in shown] == [number] * 3
    assert newest in load.ids
    assert [one.status_code for one in replayed] == [200] * 4
    assert stats["model_stats"][0]["inference_count"] == 0  # of `/infer`: nobody used it
    assert after_a_death == number
    assert after_more == number + len(again.ids)


def test_workers_do_not_outlive_the_one_that_watches_over_them(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with served(run, "--workers", "2") as (process, _):
        process.kill()
        _, said = process.communicate(timeout=60)  # ends with the last that holds the pipe

    assert said.count('"event":"drain"') == 2


def watched_over(
    tmp_path: Path, work: str, before: str = "", more: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run two workers in a process of their own that do this."""
    script = f"""
import os, signal
from edgewise.gateway.events import Events
from edgewise.gateway.workers import Workers
def end():
    os.kill(os.getpid(), signal.SIGTERM)
def work(place, heard):
{textwrap.indent(work, "    ")}
{before}
Workers(2, work, end, events=Events(form="json"){more}).run()
print("stopped")
"""
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path
    )


def test_a_worker_that_does_not_hear_yet_is_not_ended_by_a_reload(tmp_path: Path) -> None:
    done = watched_over(tmp_path, "os.kill(os.getpid(), signal.SIGHUP)\nheard()\nsignal.pause()")

    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_told_to_stop_as_it_makes_a_worker_it_stops_that_one_too(tmp_path: Path) -> None:
    # The parent hears of it between the fork and what follows; so does each child, once it heeds.
    told = "os.register_at_fork(after_in_parent=end)"

    done = watched_over(tmp_path, "signal.pause()", told)

    assert (done.stdout, done.stderr) == ("stopped\n", "")


DIES = """
with open("ended", "a") as ended:
    ended.write("x")
if os.path.getsize("ended") <= 8:
    os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getppid(), signal.SIGTERM)
signal.pause()
"""


def test_workers_that_end_now_and_then_are_started_again_without_end(tmp_path: Path) -> None:
    rarely = "import itertools\nclock = itertools.count(0, 100).__next__"

    done = watched_over(tmp_path, DIES, rarely, ", now_s=clock")

    assert done.stdout == "stopped\n"
    assert done.stderr.count('"event":"worker_ended"') >= 6


def test_workers_that_end_again_and_again_are_given_up(tmp_path: Path) -> None:
    done = watched_over(tmp_path, DIES)

    assert done.stderr.count('"event":"worker_ended"') == 5
    assert "a worker does not stay" in done.stderr


def test_gauges_of_workers_are_put_together_by_what_they_mean(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    config = tmp_path / "gateway.yaml"
    config.write_text("workers: 2\nadmission: {most_in_flight: 40}\n")
    with served(run, "--config", str(config)) as (process, url):
        httpx2.post(f"{url}/v2/models/default/infer", json={"inputs": [TENSOR]}).raise_for_status()
        found = {
            name: counted(url, f"edgewise_{name}")
            for name in ("in_flight_limit", "ready", "open_circuits")
        }
        stats = [httpx2.get(f"{url}/v2/models/default/stats").json() for _ in range(3)]
        stop(process)

    assert found == {"in_flight_limit": 80, "ready": 1, "open_circuits": 0}
    assert [one["model_stats"][0]["inference_count"] for one in stats] == [1] * 3


TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}
