"""A server's process: started, watched, stopped. The server here is a small stand-in."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from edgewise.errors import InvalidModel, MissingExtra, TierUnavailable, UsageError
from edgewise.runtimes import LlamaServer

SERVES = """
    import http.server, sys
    port = int(sys.argv[sys.argv.index("--port") + 1])
    class Handler(http.server.BaseHTTPRequestHandler):
        asked = 0
        def do_GET(self):
            Handler.asked += 1
            self.send_response(503 if Handler.asked == 1 else 200)
            self.end_headers()
        def log_message(self, *_):
            print("x" * 2000, file=sys.stderr, flush=True)
    for number in range(300):
        print("line", number, flush=True)
    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
FAILS = "import sys; sys.exit('no such architecture')"
STAYS_SILENT = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.stdin.read()"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00")
    return path


def stand_in(folder: Path, program: str) -> Path:
    path = folder / "llama-server"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(program)}")
    path.chmod(0o755)
    return path


@pytest.mark.integration
def test_a_server_is_there_when_its_model_is_loaded_and_gone_when_it_is_stopped(gguf: Path) -> None:
    server = LlamaServer(gguf, binary=stand_in(gguf.parent, SERVES))

    with server:
        healthy, url = server.is_healthy(), server.url
        log = server.log()

    assert healthy
    assert url.startswith("http://127.0.0.1:")
    assert len(log) <= 200
    assert all(len(line) <= 500 for line in log)
    assert not server.running
    assert not server.is_healthy()
    server.stop()


@pytest.mark.integration
def test_a_server_that_ends_says_why(gguf: Path) -> None:
    server = LlamaServer(gguf, binary=stand_in(gguf.parent, FAILS))
    with pytest.raises(TierUnavailable) as caught:
        server.start()

    assert caught.value.what == "the llama.cpp server ended with 1 before it was ready"
    assert caught.value.where == str(gguf)
    assert caught.value.hint == "its log says last: no such architecture"
    assert not server.running


@pytest.mark.integration
def test_a_server_that_does_not_get_ready_is_given_up(gguf: Path) -> None:
    program = stand_in(gguf.parent, STAYS_SILENT)
    server = LlamaServer(gguf, binary=program, start_timeout_s=0.2)
    with pytest.raises(TierUnavailable) as caught:
        server.start()

    assert caught.value.what == "the llama.cpp server is not ready within 0 s"
    assert caught.value.hint == "its log says last: nothing"
    assert not server.running


@pytest.mark.integration
def test_a_module_in_the_current_folder_is_not_run(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, here = tmp_path / "library", tmp_path / "here"
    for folder, name, program in (
        (library, "xllamacpp", "raise SystemExit('the library')"),
        (here, "argparse", "raise SystemExit('a module of the folder')"),
    ):
        folder.mkdir()
        (folder / f"{name}.py").write_text(program, encoding="utf-8")
    monkeypatch.syspath_prepend(library)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(library), *filter(None, sys.path))))
    monkeypatch.chdir(here)

    with pytest.raises(TierUnavailable) as caught:
        LlamaServer(gguf).start()

    assert caught.value.hint == "its log says last: the library"


def test_what_is_no_gguf_file_is_not_served(tmp_path: Path) -> None:
    other = tmp_path / "model.bin"
    other.write_bytes(b"PK")
    with pytest.raises(InvalidModel) as wrong:
        LlamaServer(other).start()
    with pytest.raises(InvalidModel) as absent:
        LlamaServer(tmp_path / "none.gguf").start()

    assert (wrong.value.what, wrong.value.where) == ("no GGUF file", str(other))
    assert wrong.value.hint == "convert the model by llama.cpp's tools"
    assert absent.value.what == "can't be read: No such file or directory"
    assert absent.value.hint == "give the path of a GGUF file"


def test_without_a_server_the_extra_is_named(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(gguf.parent))
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        LlamaServer(gguf).start()

    assert caught.value.what == "neither `xllamacpp` nor a `llama-server` is installed"
    assert caught.value.hint == 'pip install "edgewise[llm]"'


def test_a_server_is_started_once_and_asked_when_it_runs(gguf: Path) -> None:
    with pytest.raises(UsageError) as asked:
        _ = LlamaServer(gguf).url
    with pytest.raises(UsageError) as sized:
        LlamaServer(gguf, parallel=0)

    assert (asked.value.what, asked.value.hint) == ("the server is not started", "use `with`")
    assert (sized.value.what, sized.value.where) == ("not above 0: 0", "parallel")
    assert sized.value.hint == "give 1 or more"


@pytest.mark.integration
def test_a_server_that_runs_is_not_started_again(gguf: Path) -> None:
    with LlamaServer(gguf, binary=stand_in(gguf.parent, SERVES)) as server:
        with pytest.raises(UsageError) as caught:
            server.start()
        assert server.is_healthy()

    assert (caught.value.what, caught.value.hint) == ("it was started", "stop it before")


@pytest.mark.integration
def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    server = LlamaServer(gguf, binary=stand_in(gguf.parent, SERVES), start_timeout_s=10.0)

    with server:
        assert server.is_healthy()
