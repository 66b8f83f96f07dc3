"""A llama.cpp server for one GGUF file, as a process that is started, watched and stopped."""

import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from pathlib import Path
from typing import IO, Self
from urllib.error import URLError

from edgewise.errors import InvalidModel, MissingExtra, TierUnavailable, UsageError

_BINARY = "llama-server"
_MAGIC = b"GGUF"
_LOG_LINES, _LOG_WIDTH = 200, 500
_LOOK_S, _STOP_S, _HEALTH_S = 0.05, 5.0, 2.0


class LlamaServer:
    """Serves a GGUF file over OpenAI's protocol, on this machine alone.

    Made and stopped by the application (`with`, or `start` and `stop`); `url` is then a tier's
    endpoint. It is xllamacpp's server where that is installed, else a `llama-server` on the PATH.
    The first ends with this process, even when that is killed.

    Parameters
    ----------
    context_tokens
        Of a request and its answer, divided among `parallel` requests.
    parallel
        Requests that are answered at once.
    start_timeout_s
        Within which the model has to be loaded.
    binary
        Use this `llama-server` and no other.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        context_tokens: int = 2048,
        threads: int = 1,
        parallel: int = 1,
        start_timeout_s: float = 120.0,
        binary: str | Path | None = None,
    ) -> None:
        self.model = Path(model)
        for name, value in (
            ("context_tokens", context_tokens),
            ("threads", threads),
            ("parallel", parallel),
        ):
            if value < 1:
                raise UsageError(f"not above 0: {value}", where=name, hint="give 1 or more")
        self._sizes = (context_tokens, threads, parallel)
        self._start_timeout_s = start_timeout_s
        self._binary = None if binary is None else str(binary)
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._readers: list[threading.Thread] = []
        self._told = threading.Event()
        self._url = ""

    @property
    def url(self) -> str:
        """Give where it answers.

        Raises
        ------
        UsageError
            When it was not started.
        """
        if not self._url:
            raise UsageError("the server is not started", where="LlamaServer", hint="use `with`")
        return self._url

    @property
    def running(self) -> bool:
        """Say whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> tuple[str, ...]:
        """Give the last lines that the server wrote, 200 at most."""
        return tuple(self._log)

    def is_healthy(self) -> bool:
        """Say whether it answers, and its model is loaded."""
        if not self.running or not self._url:
            return False
        # A proxy that the environment names does not see this machine.
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with straight.open(self._url + "/health", timeout=_HEALTH_S) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def start(self) -> None:
        """Start the process, and return when the model is loaded.

        Raises
        ------
        InvalidModel
            When the file is absent or no GGUF file.
        MissingExtra
            When there is no server to start.
        TierUnavailable
            When it ended, or is not ready in time; the last lines of its log say why.
        """
        if self._process is not None:
            raise UsageError("it was started", where="LlamaServer", hint="stop it before")
        self._check_model()
        command, url = self._command()
        self._told.clear()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._read(self._process.stdout, told_here=not url)
        self._read(self._process.stderr, told_here=False)
        self._url = url
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        process, self._process = self._process, None
        self._url = ""
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join(_STOP_S)
        self._readers.clear()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _check_model(self) -> None:
        try:
            with self.model.open("rb") as opened:
                magic = opened.read(len(_MAGIC))
        except OSError as failure:
            what = f"can't be read: {failure.strerror}"
            hint = "give the path of a GGUF file"
            raise InvalidModel(what, where=str(self.model), hint=hint) from failure
        if magic != _MAGIC:
            hint = "convert the model by llama.cpp's tools"
            raise InvalidModel("no GGUF file", where=str(self.model), hint=hint)

    def _command(self) -> tuple[list[str], str]:
        """Give what to run, and where it will answer where that is known before."""
        context, threads, parallel = map(str, self._sizes)
        if self._binary is None and importlib.util.find_spec("xllamacpp") is not None:
            # `-P`: a module in the current folder must not be taken for ours.
            run = [sys.executable, "-P", "-m", "edgewise.runtimes.llama_child"]
            child = [*run, str(self.model)]
            sizes = ["--context-tokens", context, "--threads", threads, "--parallel", parallel]
            return [*child, *sizes], ""
        binary = self._binary or shutil.which(_BINARY)
        if binary is None:
            what = f"neither `xllamacpp` nor a `{_BINARY}` is installed"
            raise MissingExtra(what, hint='pip install "edgewise[llm]"')
        port = _free_port()
        places = ["--host", "127.0.0.1", "--port", str(port), "-m", str(self.model)]
        return [binary, *places, "-c", context, "-t", threads, "-np", parallel], (
            f"http://127.0.0.1:{port}"
        )

    def _read(self, stream: IO[str] | None, *, told_here: bool) -> None:
        reader = threading.Thread(target=self._keep, args=(stream, told_here), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _keep(self, stream: IO[str], told_here: bool) -> None:  # noqa: FBT001 - a thread's argument
        for line in stream:
            if told_here and line.startswith("ready: "):
                self._url = line.removeprefix("ready: ").strip()
                self._told.set()
            else:
                self._log.append(line.rstrip()[:_LOG_WIDTH])
        self._told.set()

    def _wait(self, process: subprocess.Popen[str]) -> None:
        until_s = time.monotonic() + self._start_timeout_s
        if not self._url:
            self._told.wait(self._start_timeout_s)
        while not self.is_healthy():
            try:
                process.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < until_s:
                    continue
            raise TierUnavailable(self._why(process), where=str(self.model), hint=_hint(self._log))

    def _why(self, process: subprocess.Popen[str]) -> str:
        code = process.poll()
        if code is None:
            return f"the llama.cpp server is not ready within {self._start_timeout_s:.0f} s"
        return f"the llama.cpp server ended with {code} before it was ready"


def _hint(log: deque[str]) -> str:
    said = next((line for line in reversed(log) if line.strip()), "nothing")
    return f"its log says last: {said}"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
