"""A gateway in a process of its own that is stopped, reloaded and killed under load."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from gateways import served

from edgewise.observe import DecisionLog
from edgewise.records import Policy, TierKind, TierPolicy, encode, read_json, write_json
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle

pytestmark = pytest.mark.integration


def run_directory(folder: Path) -> Path:
    """Make what a run leaves: a bundle and a policy that belongs to it."""
    opened = open_bundle(tiny_text_bundle(folder / "bundle"))
    policy = Policy(
        task="text-classification",
        labels=opened.labels,
        tiers=(TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),),
        bundle_sha256=opened.sha256,
    )
    opened.close()
    write_json(folder / "policy.json", policy)
    return folder


class Load:
    """Clients that ask one after the other until told to stop, and what they were answered."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url = url
        self.enough = threading.Event()
        self.busy = threading.Event()
        self.ids: list[str] = []
        self.answered: list[tuple[str, float]] = []
        self.failures: list[str] = []
        self.policies: set[str] = set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        with httpx2.Client(base_url=self._url) as client:
            while not self.enough.is_set():
                try:
                    answer = client.post("/predict", json={"text": "good"})
                except httpx2.ConnectError:
                    return  # it no longer listens: nothing was taken
                except httpx2.HTTPError as failure:
                    self.failures.append(repr(failure))
                    return
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                request_id = answer.headers["x-edgewise-request-id"]
                self.ids.append(request_id)
                self.answered.append((request_id, time.monotonic()))
                self.policies.add(answer.headers["x-edgewise-policy"])
                if len(self.ids) > 40:
                    self.busy.set()


def logged(path: Path) -> list[str]:
    with DecisionLog(path) as log:
        return [one.request_id for one in log.read()]


def test_stopped_under_load_it_loses_no_request_and_no_decision(tmp_path: Path) -> None:
    run, log = run_directory(tmp_path / "run"), tmp_path / "decisions.db"
    with served(run, "--log", str(log)) as (process, url), Load(url) as load:
        assert load.busy.wait(30)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert load.failures == []
    assert (process.returncode, said) == (0, "")
    assert sorted(logged(log)) == sorted(load.ids)


def test_reloaded_under_load_it_fails_no_request(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    policy = read_json(Policy, run / "policy.json")
    with served(run) as (process, url), Load(url) as load:
        assert load.busy.wait(30)
        assert process.stderr is not None
        for deadline_ms in (1000.0, 2000.0):
            write_json(run / "policy.json", replace(policy, deadline_ms=deadline_ms))
            process.send_signal(signal.SIGHUP)
            assert "became" in process.stderr.readline()
        (run / "policy.json").write_text("{}")
        process.send_signal(signal.SIGHUP)
        assert "the policy stays as it is" in process.stderr.readline()
        count = len(load.ids)
        while len(load.ids) < count + 20:
            assert not load.enough.wait(0.05)

    assert load.failures == []
    assert len(load.policies) >= 2


def test_killed_under_load_its_log_opens_and_holds_what_was_written(tmp_path: Path) -> None:
    run, log = run_directory(tmp_path / "run"), tmp_path / "decisions.db"
    with served(run, "--log", str(log)) as (process, url), Load(url) as load:
        while not load.answered or load.answered[-1][1] < load.answered[0][1] + 2.5:
            assert not load.enough.wait(0.05)
        killed_s = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)

    kept = logged(log)
    assert len(set(kept)) == len(kept)
    # What was answered two seconds earlier was written long ago, whatever the machine does.
    old = [one for one, at_s in load.answered if at_s < killed_s - 2.0]
    assert len(old) > 0
    assert set(old) <= set(kept)


def test_beyond_this_machine_it_does_not_listen_without_keys(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    command = [sys.executable, "-m", "edgewise", "serve", str(run), "--host", "0.0.0.0"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "there are no keys" in done.stderr


def test_over_tls_it_answers_and_a_wrong_key_file_is_named(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*made, *files, *subject], cwd=tmp_path, capture_output=True, check=True)
    config = tmp_path / "gateway.yaml"
    config.write_text("tls: {certificate: cert.pem, key: key.pem}\nlog: kept.db\n")

    with served(run, "--config", str(config)) as (_, url):
        command = ["curl", "-sS", "--cacert", str(tmp_path / "cert.pem"), f"{url}/readyz"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    (tmp_path / "key.pem").write_text("no key")
    serve = [sys.executable, "-m", "edgewise", "serve", str(run), "--config", str(config)]
    wrong = subprocess.run(serve, capture_output=True, text=True, timeout=60, check=False)

    assert url.startswith("https://")
    assert '"ready":true' in done.stdout
    assert (tmp_path / "kept.db").exists()
    assert wrong.returncode == 2
    assert "the certificate and its key can't be used" in wrong.stderr


def test_a_policy_goes_through_its_stages_in_a_process_of_its_own(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    config = tmp_path / "gateway.yaml"
    config.write_text(f"admin: {{token_sha256: {hashlib.sha256(b'root').hexdigest()}}}\n")
    stricter = replace(read_json(Policy, run / "policy.json"), deadline_ms=3000.0)
    with served(run, "--config", str(config)) as (process, url):
        with httpx2.Client(base_url=url, headers={"authorization": "Bearer root"}) as client:
            staged = client.post("/admin/stage", json=encode(stricter)).json()["staged"]
            client.post("/admin/canary", json={"share": 1.0})
            tried = client.post("/predict", json={"text": "good"})
            promoted = client.post("/admin/promote").json()
            answered = client.post("/predict", json={"text": "good"})
            client.post("/admin/drain")
        _, said = process.communicate(timeout=30)

    assert tried.headers["x-edgewise-policy"] == staged[:16]
    assert promoted["policy_version"] == staged
    assert answered.json()["label"] == "positive"
    assert (process.returncode, said) == (0, "")


def test_several_workers_share_the_port_and_the_log_and_one_that_dies_comes_back(
    tmp_path: Path,
) -> None:
    run, log = run_directory(tmp_path / "run"), tmp_path / "decisions.db"
    with served(run, "--workers", "2", "--log", str(log)) as (process, url):
        with Load(url) as load:
            assert load.busy.wait(30)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        with Load(url, clients=1) as again:
            assert again.busy.wait(30)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert len(children) == 2
    assert load.failures == []
    assert process.returncode == 0
    assert set(again.ids) <= set(logged(log))


def test_workers_that_can_not_start_and_an_admin_of_several_are_told(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    config = tmp_path / "gateway.yaml"
    config.write_text(f"admin: {{token_sha256: {'a' * 64}}}\n")
    serve = [sys.executable, "-m", "edgewise", "serve", str(run), "--port", "0", "--workers", "2"]

    broken = subprocess.run(
        [*serve, "--log", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    admin = subprocess.run(
        [*serve, "--config", str(config)], capture_output=True, text=True, timeout=60, check=False
    )

    assert broken.returncode == 1
    assert "the decision log can't be written" in broken.stderr
    assert "a worker does not stay" in broken.stderr
    assert "hint: read what it said before" in broken.stderr
    assert admin.returncode == 2
    assert "the admin's interface reaches one process" in admin.stderr
