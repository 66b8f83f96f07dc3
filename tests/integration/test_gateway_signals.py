"""A gateway in a process of its own that is stopped, reloaded and killed under load."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from gateways import Load, next_event, run_directory, served, troubles

from edgewise.observe import DecisionLog
from edgewise.records import (
    ApiKey,
    Policy,
    Protocol,
    TierKind,
    TierPolicy,
    encode,
    read_json,
    write_json,
)

pytestmark = pytest.mark.integration


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
    assert (process.returncode, troubles(said)) == (0, [])
    assert sorted(logged(log)) == sorted(load.ids)


def test_reloaded_under_load_it_fails_no_request(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    policy = read_json(Policy, run / "policy.json")
    with served(run) as (process, url), Load(url) as load:
        assert load.busy.wait(30)
        reloads = []
        for deadline_ms in (1000.0, 2000.0):
            write_json(run / "policy.json", replace(policy, deadline_ms=deadline_ms))
            process.send_signal(signal.SIGHUP)
            reloads.append(next_event(process, "reload"))
        (run / "policy.json").write_text("{}")
        process.send_signal(signal.SIGHUP)
        refused = next_event(process, "reload_refused")
        count = len(load.ids)
        while len(load.ids) < count + 20:
            assert not load.enough.wait(0.05)

    assert load.failures == []
    assert len(load.policies) >= 2
    assert reloads[0]["policy_version"] == reloads[1]["before"]
    assert (refused["level"], refused["where"]) == ("error", str(run / "policy.json"))


def test_a_reload_brings_the_bundle_of_the_policy_along(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with served(run) as (process, url), httpx2.Client(base_url=url) as client:
        before = client.post("/predict", json={"text": "good"}).json()
        run_directory(run, ("no", "yes"))
        process.send_signal(signal.SIGHUP)
        reload = next_event(process, "reload")
        after = client.post("/predict", json={"text": "good"}).json()
        metadata = client.get("/v2/models/default").json()

    assert (before["label"], after["label"]) == ("positive", "yes")
    assert (before["policy_version"], after["policy_version"]) == (
        reload["before"],
        reload["policy_version"],
    )
    assert json.loads(metadata["parameters"]["labels"]) == ["no", "yes"]


def test_told_to_reload_while_it_starts_it_starts_and_reloads(tmp_path: Path) -> None:
    key = tmp_path / "key"
    os.mkfifo(key)
    tier = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint="http://127.0.0.1:9",
        api_key=ApiKey(file=str(key)),
    )
    policy = Policy(task="text-classification", labels=("a", "b"), tiers=(tier,))
    write_json(tmp_path / "policy.json", policy)
    command = [sys.executable, "-m", "edgewise", "serve", str(tmp_path / "policy.json")]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            with key.open("w") as file:  # opens when it reads: it is starting
                process.send_signal(signal.SIGHUP)
                file.write("secret")
            key.unlink()
            key.write_text("secret")
            reload = next_event(process, "reload")
        finally:
            process.kill()

    assert reload["before"] == reload["policy_version"]


def test_told_to_reload_before_it_can_hear_it_starts(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    code = """
import os, signal, sys

class Hangup:
    def find_spec(self, name, path=None, target=None):
        if name == "edgewise.gateway":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Hangup())
from edgewise.cli import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "serve", str(run), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
        finally:
            process.kill()

    assert said.startswith("ready: ")


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
    [told] = troubles(done.stderr)
    assert told["what"] == "anybody who reaches this address could ask: there are no keys"
    assert (told["event"], told["where"]) == ("refused", "--host 0.0.0.0")


def test_over_tls_it_answers_and_a_wrong_key_file_is_named(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*made, *files, *subject], cwd=tmp_path, capture_output=True, check=True)
    config = tmp_path / "gateway.yaml"
    config.write_text("tls: {certificate: cert.pem, key: key.pem}\nlog: kept.db\nevents: plain\n")

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
    assert wrong.stderr.startswith("error: ")
    assert "the certificate and its key can't be used" in wrong.stderr


def test_a_policy_goes_through_its_stages_in_a_process_of_its_own(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    config = tmp_path / "gateway.yaml"
    config.write_text(f"admin: {{token_sha256: {hashlib.sha256(b'root').hexdigest()}}}\n")
    stricter = replace(read_json(Policy, run / "policy.json"), deadline_ms=3000.0)
    with served(run, "--config", str(config)) as (process, url):
        with httpx2.Client(base_url=url, headers={"authorization": "Bearer root"}) as client:
            staged = client.post("/admin/stage", json=encode(stricter)).json()["staged"]
            client.post("/admin/shadow")
            client.post("/admin/canary", json={"share": 1.0})
            tried = client.post("/predict", json={"text": "good"})
            promoted = client.post("/admin/promote").json()
            answered = client.post("/predict", json={"text": "good"})
            client.post("/admin/rollback")
            client.post("/admin/drain")
        _, said = process.communicate(timeout=30)

    assert tried.headers["x-edgewise-policy"] == staged[:16]
    assert promoted["policy_version"] == staged
    assert answered.json()["label"] == "positive"
    assert (process.returncode, troubles(said)) == (0, [])
    told = [json.loads(line) for line in said.splitlines()]
    steps = ["stage", "shadow", "canary", "promote", "rollback"]
    assert [one["event"] for one in told] == ["start", "ready", *steps, "drain", "stopped"]
    assert [one["policy_version"] for one in told[2:6]] == [staged] * 4
    assert told[6]["before"] == staged


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
        _, said = process.communicate(timeout=30)

    [ended] = troubles(said)
    assert (ended["event"], ended["worker"]) == ("worker_ended", int(children[0]))
    assert ended["exit_code"] == -signal.SIGKILL
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
    told = troubles(broken.stderr)
    assert {one["event"] for one in told} == {"refused", "worker_ended"}
    assert "the decision log can't be written" in told[0]["what"]
    assert told[-1]["what"] == "a worker does not stay"
    assert told[-1]["hint"] == "read what it said before"
    assert admin.returncode == 2
    assert "the admin's interface reaches one process" in troubles(admin.stderr)[0]["what"]


def test_what_it_says_of_itself_holds_no_payload_and_no_key(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "key").write_text("hunter2")
        tier = TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            endpoint=url,
            protocol=Protocol.JSON,
            api_key=ApiKey(file=str(tmp_path / "key")),
            rtt_p50_ms=1.0,
            rtt_p95_ms=5.0,
        )
        policy = Policy(task="text-classification", labels=("no", "yes"), tiers=(tier,))
        write_json(tmp_path / "policy.json", policy)
        config = tmp_path / "gateway.yaml"
        digest = hashlib.sha256(b"hunter3").hexdigest()
        config.write_text(f"callers: [{{name: web, key_sha256: {digest}}}]\n")
        with served(tmp_path / "policy.json", "--config", str(config)) as (process, at):
            headers = {"authorization": "Bearer hunter3", "x-edgewise-deadline-ms": "2000"}
            with httpx2.Client(base_url=at, headers=headers) as client:
                answer = client.post("/predict", json={"text": "hunter4"})
            failed = next_event(process, "tier_failed")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)

    assert answer.status_code in (503, 504)
    assert failed["level"] == "warning"
    assert (failed["tier"], failed["error"]) == ("cloud", "RemoteError")
    assert "hunter" not in str(failed) + said
    assert digest not in str(failed) + said
