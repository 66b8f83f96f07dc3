"""A run, an endpoint, a port or a disk that is not as it should be, by the real command line."""

import http.server
import json
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command_line import ONE_CANDIDATE, asides, content, edgewise, end, interrupt, start
from gateways import served, troubles
from tiny_project import SPEC, write_project

from edgewise.cli import main

pytestmark = pytest.mark.integration

Server = http.server.BaseHTTPRequestHandler
Answer = Callable[[Server], object]
PARTS = (
    "profile.json",
    "certificate.json",
    "policy.json",
    "plan.json",
    "report.html",
    "run.json",
    "bundle/manifest.json",
    "bundle/model.onnx",
    "bundle/tokenizer.json",
)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """Give a run directory of one's own."""
    return Path(shutil.copytree(finished_run / "run", tmp_path / "run"))


@contextmanager
def endpoint(answer: Answer) -> Iterator[str]:
    """Serve every POST by a function, on a free port."""

    class Handler(Server):
        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def log_message(self, format: str, *values: object) -> None:
            del format, values

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sends(status: int, body: bytes, kind: str) -> Answer:
    def answer(server: Server) -> None:
        server.send_response(status)
        server.send_header("content-type", kind)
        server.send_header("content-length", str(len(body)))
        server.end_headers()
        server.wfile.write(body)

    return answer


def hangs_up(server: Server) -> None:
    server.close_connection = True


def called(url: str) -> str:
    """Give a project whose cloud is called for its answers."""
    return SPEC.replace("answers: assume_right", f'endpoint: "{url}"').replace(
        "optimize: {min_agreement: 0.5, max_cut_loss: 0.5}", ONE_CANDIDATE
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sends(200, b"<html>Welcome</html>", "text/html"), ("no JSON", "text/html", "HTML")),
        (sends(500, b"{}", "application/json"), ("HTTP 500", "hint: ")),
        (sends(200, b'{"outputs": 3}', "application/json"), ("protocol oip", "`outputs`")),
        (hangs_up, ("the connection broke", "endpoint's log")),
    ],
    ids=["HTML", "HTTP 500", "other JSON", "hangs up"],
)
def test_an_endpoint_that_answers_nonsense_stops_the_run(
    finished_run: Path, tmp_path: Path, answer: Answer, words: tuple[str, ...]
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    before = content(project / "run")
    with endpoint(answer) as url:
        (project / "edgewise.yaml").write_text(called(url), encoding="utf-8")

        ended = edgewise("run", "edgewise.yaml", "--out", "run", folder=project)

    ended.refused(f"{url}/v2/models/default/infer", *words)
    assert content(project / "run") == before


def test_an_endpoint_that_nobody_serves_stops_the_run(finished_run: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        (project / "edgewise.yaml").write_text(called(url), encoding="utf-8")

        ended = edgewise("run", "edgewise.yaml", "--out", "new", folder=project)

    ended.refused(url, "can't be reached")
    assert not (project / "new").exists()


def test_serving_on_a_port_in_use_is_refused(run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = edgewise("serve", run, "--port", str(port), folder=run.parent)

    ended.refused(f"127.0.0.1:{port}", "the port is in use", "`--port`")


def test_serving_at_an_address_of_another_machine_is_refused(run: Path) -> None:
    elsewhere = ("serve", run, "--port", "0", "--host", "192.0.2.1")

    open_to_all = edgewise(*elsewhere, folder=run.parent)
    not_ours = edgewise(*elsewhere, "--without-keys", folder=run.parent)

    open_to_all.refused("--host 192.0.2.1", "there are no keys", code=2)
    not_ours.refused("192.0.2.1:0", "can't listen there")


def test_a_run_that_is_not_there_is_refused_by_every_verb(tmp_path: Path) -> None:
    edgewise("serve", "gone", "--port", "0", folder=tmp_path).refused("gone", "edgewise run")
    edgewise("verify", "gone", folder=tmp_path).refused("gone", "no such run")
    edgewise("predict", "gone", "--text", "x", folder=tmp_path).refused("gone", "edgewise run")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", PARTS)
def test_verify_says_no_to_a_missing_part(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).unlink()

    assert main(["verify", str(run), "--json"]) == 3

    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert not found["holds"]
    wrong = [check["detail"] for check in found["checks"] if not check["holds"]]
    assert any(str(run / name) in one or str((run / name).parent) in one for one in wrong)


@pytest.mark.parametrize("name", PARTS)
def test_verify_says_no_to_a_part_with_a_digit_changed_by_hand(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = bytearray((run / name).read_bytes())
    at = max(i for i, byte in enumerate(raw) if chr(byte) in "123456")
    raw[at] += 1
    (run / name).write_bytes(raw)

    assert main(["verify", str(run)]) == 3

    shown = capsys.readouterr()
    assert shown.err == ""
    assert "FAIL" in shown.out
    assert f"{run / name}: " in shown.out or name.startswith("bundle/")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema_version": 9}', "\x00"])
def test_verify_says_no_to_a_part_that_is_something_else(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PARTS:
        if name.endswith(".json"):
            (run / name).write_text(text, encoding="utf-8")

    assert main(["verify", str(run)]) == 3

    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.count("FAIL") == 7


def test_verify_says_no_in_a_process_of_its_own(run: Path) -> None:
    (run / "plan.json").unlink()

    ended = edgewise("verify", run, folder=run.parent)

    assert ended.code == 3
    assert ended.err == ""
    assert f"FAIL  plan: {run}/plan.json: no such file" in ended.out


def test_a_run_whose_plan_is_of_another_run_does_not_verify(
    finished_run: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    more = SPEC + "workload: {requests_per_month: 7}\n"
    (project / "edgewise.yaml").write_text(more, encoding="utf-8")
    assert edgewise("run", "edgewise.yaml", "--out", "other", folder=project).code == 0
    shutil.copy(project / "other/plan.json", project / "run/plan.json")

    ended = edgewise("verify", "run", folder=project)

    assert ended.code == 3
    assert "FAIL  plan: run/plan.json" in ended.out


def test_a_bundle_with_a_byte_changed_is_not_used(run: Path) -> None:
    model = run / "bundle/model.onnx"
    raw = bytearray(model.read_bytes())
    raw[len(raw) // 2] ^= 1
    model.write_bytes(raw)
    before = content(run)

    for verb in (("predict", run, "--text", "a good day"), ("serve", run, "--port", "0")):
        edgewise(*verb, folder=run.parent).refused(str(model), "differ from the manifest's hash")

    assert content(run) == before


def test_a_policy_for_another_bundle_is_not_used(run: Path) -> None:
    policy = json.loads((run / "policy.json").read_text(encoding="utf-8"))
    policy["bundle_sha256"] = "0" * 64
    (run / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    before = content(run)

    ended = edgewise("predict", run, "--text", "a good day", folder=run.parent)

    ended.refused(str(run / "policy.json"), "not for 0000")
    assert content(run) == before


def test_a_bundle_of_another_run_is_not_used(run: Path) -> None:
    policy = json.loads((run / "policy.json").read_text(encoding="utf-8"))
    policy |= {"bundle_sha256": "0" * 64, "certificate": None}
    (run / "policy.json").write_text(json.dumps(policy), encoding="utf-8")

    ended = edgewise("predict", run, "--text", "a good day", folder=run.parent)

    ended.refused(str(run / "bundle"), "the policy is for bundle 0000")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, ("--text", "--file")),
        (("--text", ""), 2, ("--text", "--file")),
        (("--text", " \t"), 2, ("--text", "--file")),
        (("--text", "x", "--file", "x"), 2, ("--text", "--file")),
        (("--text", "x", "--deadline-ms", "soon"), 2, ("edgewise predict", "'soon'", "--help")),
        (("--text", "x", "--deadline-ms", "-1"), 2, ("deadline_ms", "-1")),
        (("--text", "x", "--force-location", "moon"), 2, ("moon", "edge, cloud")),
        (("--file", "gone.txt"), 1, ("gone.txt", "No such file")),
        (("--file", "."), 1, (".: ", "directory")),
        (("--file", "latin.txt"), 1, ("latin.txt:2", "not UTF-8")),
        (("--file", "empty.txt"), 1, ("empty.txt", "no text")),
    ],
)
def test_predict_refuses_what_it_can_not_answer(
    run: Path, options: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    (run.parent / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    (run.parent / "empty.txt").write_text("\ufeff \n\n", encoding="utf-8")

    ended = edgewise("predict", run, "--private", *options, folder=run.parent)

    ended.refused(*words, code=code)


def test_predict_reads_a_file_with_a_byte_order_mark_and_odd_separators(run: Path) -> None:
    lines = "\ufeffa good day\r\n\r\na\u2028bad day\n"
    (run.parent / "texts.txt").write_text(lines, encoding="utf-8", newline="")

    ended = edgewise(
        "predict", run, "--private", "--file", "texts.txt", "--json", folder=run.parent
    )

    assert ended.code == 0, ended.err
    assert len(json.loads(ended.out)["results"]) == 2


@pytest.mark.parametrize("verb", ["run", "optimize"])
def test_a_place_that_can_not_be_written_is_refused_before_the_work(
    finished_run: Path, verb: str
) -> None:
    of = {"run": ("edgewise.yaml",), "optimize": ("model", "--data", "train.csv")}

    ended = edgewise(verb, *of[verb], "--out", "/proc/nothing/run", folder=finished_run)

    assert "· " not in ended.err
    ended.refused("/proc/nothing/run: can't write", ": /proc", "--out")


def test_run_writes_into_no_directory_of_optimize(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best/candidates.json").write_text("{}", encoding="utf-8")

    ended = edgewise("run", finished_run / "edgewise.yaml", "--out", "best", folder=tmp_path)

    ended.refused("best: it holds what `edgewise optimize` made", "--out")
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["candidates.json"]


def test_init_never_writes_over_a_file(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(finished_run / "train.csv", tmp_path / "data/train.csv")
    before = content(tmp_path)

    ended = edgewise("init", "--data", "data/train.csv", "--model", "m.onnx", folder=tmp_path)

    ended.refused("data/train.csv", "there is a file already", "--out")
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label\na\nb\n", ("all.csv:1", "one column, `label`")),
        ("text,label\na,b\n", ("all.csv", "too few")),
        ("text,words\na,b\nb,c\n" * 2, ("all.csv:1", "looks like a label")),
    ],
)
def test_init_refuses_data_that_makes_no_project(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "all.csv").write_text(text, encoding="utf-8")

    ended = edgewise("init", "--data", "all.csv", "--model", "m.onnx", folder=tmp_path)

    ended.refused(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]


MORE = (100, 12_000, 20_000, 50_000)


def limited(most_bytes: int) -> Callable[[], None]:
    """Let no file grow beyond a size: what a full disk does, without a disk of one's own."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.slow
@pytest.mark.parametrize("most_bytes", [3000, *MORE])
def test_without_space_a_run_is_refused_and_with_space_it_is_the_same(
    tmp_path: Path, most_bytes: int
) -> None:
    spec = SPEC.replace("optimize: {min_agreement: 0.5, max_cut_loss: 0.5}", ONE_CANDIDATE)
    write_project(tmp_path, spec)
    verb = ("run", "edgewise.yaml", "--out", "run", "--json")

    full = edgewise(*verb[:-1], folder=tmp_path, before=limited(most_bytes))
    after = content(tmp_path / "run")
    left = asides(tmp_path)
    free = edgewise(*verb, folder=tmp_path)
    fresh = edgewise(*verb[:-2], "other", "--cache", "anew", "--json", folder=tmp_path)

    full.refused("can't", "space")
    assert after == {}
    assert left == []
    bundles = [json.loads(ended.out)["bundle"]["sha256"] for ended in (free, fresh)]
    assert bundles[0] == bundles[1]
    assert edgewise("verify", "run", folder=tmp_path).code == 0


def test_without_space_the_run_that_is_there_stays(finished_run: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    (project / "run/decisions.sqlite").write_bytes(b"mine")
    more = SPEC + "workload: {requests_per_month: 7}\n"
    (project / "edgewise.yaml").write_text(more, encoding="utf-8")
    before = content(project)

    ended = edgewise("run", "edgewise.yaml", "--out", "run", folder=project, before=limited(15_000))

    ended.refused("run: can't write", "space")
    assert content(project) == before


def test_without_space_a_decision_is_not_answered_unlogged(run: Path) -> None:
    ended = edgewise("predict", run, "--text", "a good day", folder=run.parent, before=limited(100))

    ended.refused("decisions.sqlite", "space")


@pytest.mark.parametrize("verb", [("verify", "run"), ("doctor",), ("init", "--explain")])
def test_results_that_can_not_be_written_are_said(run: Path, verb: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended = edgewise(*verb, folder=run.parent, stdout=full)
    finally:
        os.close(full)

    ended.refused("stdout", "No space left")


def test_a_reader_that_leaves_early_is_no_error(run: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = edgewise("verify", run, folder=run.parent, stdout=writing)
    finally:
        os.close(writing)

    assert ended.code == 1
    assert ended.err == ""


def test_an_interrupted_server_frees_its_port_and_ends_well(run: Path) -> None:
    server = start("serve", run, "--port", "0", folder=run.parent)
    assert server.stdout is not None
    port = int(server.stdout.readline().rpartition(":")[2])

    interrupt(server)
    ended = end(server)

    assert ended.code == 0
    assert troubles(ended.err) == []
    with socket.socket() as freed:
        assert freed.connect_ex(("127.0.0.1", port)) != 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def newer(policy: dict[str, Any]) -> None:
    policy["schema_version"] = 2


def without_a_url(policy: dict[str, Any]) -> None:
    policy["tiers"][1]["endpoint"] = "localhost"


def below_the_certificate(policy: dict[str, Any]) -> None:
    policy["tiers"][0]["threshold"] = 0.1


@pytest.mark.parametrize("verb", [("predict", "--text", "a good day"), ("serve", "--port", "0")])
@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (newer, 1, ("policy.json", "version 2", "this edgewise reads 1", "anew")),
        (
            without_a_url,
            2,
            ("policy.json: tiers.cloud.endpoint", "not an http or https URL", "https://host/path"),
        ),
        (
            below_the_certificate,
            1,
            ("policy.json: certificate", "the policy has 0.1", "certify anew"),
        ),
    ],
)
def test_a_policy_that_can_not_be_is_refused(
    run: Path,
    verb: tuple[str, ...],
    change: Callable[[dict[str, Any]], None],
    code: int,
    words: tuple[str, ...],
) -> None:
    policy = json.loads((run / "policy.json").read_text(encoding="utf-8"))
    change(policy)
    (run / "policy.json").write_text(json.dumps(policy), encoding="utf-8")

    ended = edgewise(verb[0], run, *verb[1:], folder=run.parent)

    ended.refused(*words, code=code)


def test_a_full_disk_under_the_queue_is_said_and_with_space_requests_wait(run: Path) -> None:
    policy = json.loads((run / "policy.json").read_text(encoding="utf-8"))
    policy |= {"certificate": None, "offline": {"path": str(run / "queue.sqlite")}}
    policy["tiers"][0]["threshold"] = 1.0
    policy["tiers"][1]["endpoint"] = "http://127.0.0.1:1"
    (run / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    late = {"x-edgewise-allow-late": "1"}

    with served(run) as (process, url), httpx2.Client(base_url=url) as client:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        full = client.post("/predict", json={"text": "a film"}, headers=late)
        limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
        free = client.post("/predict", json={"text": "a film"}, headers=late)

    assert full.status_code == 503
    assert full.json() == {
        "error": "no tier can answer now, and the request can't wait: no_storage",
        "hint": "try again later, or free space on the queue's disk",
    }
    assert (free.status_code, free.json()["location"]) == (202, "queued")
