"""The command group. Verbs load when they are called, so `--help` brings in nothing heavy."""

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from edgewise import __version__
from edgewise.cli.show import print_failure, to_stderr
from edgewise.errors import EdgewiseError, StorageError, UsageError

VERBS = {
    "init": "write a starting edgewise.yaml from a data file and a model",
    "doctor": "say what this machine can run and what is missing",
    "run": "build, profile, certify and plan a project into a run directory",
    "optimize": "make the smallest, fastest bundle of a model that keeps to it",
    "profile": "measure a bundle on this machine, or compare several",
    "calibrate": "certify a run anew with other labels",
    "simulate": "replay a trace of requests through a policy",
    "replay": "put the requests of a decision log through another policy",
    "policy": "show a policy, or what differs between two",
    "plan": "say where to run, what it costs and how sure that is",
    "report": "give the report of a run as a page, Markdown or a PDF",
    "prices": "list, show and import the price tables that plans use",
    "place": "decide where many workloads run, or say which constraints conflict",
    "cuts": "measure where an ONNX model may be cut between two tiers",
    "recertify": "certify a run anew from what its audit has sampled",
    "predict": "answer one text or file through the engine of a run",
    "serve": "answer on a port as OpenAI, Open Inference Protocol v2 and plain JSON",
    "log": "ask a decision log in SQL, or export it to Parquet",
    "verify": "check that the parts of a run are whole and belong together",
}


class VerbGroup(click.Group):
    """A group whose commands are imported by name, `edgewise.cli.<verb>:command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the verbs in the order of the work."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb when it is called."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"edgewise.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgewise")
def app() -> None:
    """Decide where AI inference runs: on the device, on a site server or in the cloud."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; every `EdgewiseError` becomes a message."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # not every encoding has a `→`
    with _one_interrupt() as seen:
        try:
            return _run(argv)
        except Exception as failure:
            # The outermost border: what a ^C broke, such as the import of an extension, comes out
            # as an error of its own. Everything else is a fault of ours and keeps its traceback.
            if seen:
                return _interrupted(argv)
            if isinstance(failure, EdgewiseError):
                return _fail(argv, failure)
            if isinstance(failure, OSError):
                return _refused(argv, failure)
            raise


def _run(argv: list[str]) -> int:
    if "_EDGEWISE_COMPLETE" in os.environ:
        app.main(argv, prog_name="edgewise")  # answers the shell and exits
    try:
        with app.make_context("edgewise", list(argv)) as context:
            return int(app.invoke(context) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        path = _command_path(wrong)
        failure = UsageError(wrong.format_message(), where=path, hint=f"{path} --help")
        return _fail(argv, failure)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(argv)


def _interrupted(argv: Sequence[str]) -> int:
    continues = argv[:1] in (["run"], ["optimize"])
    goes_on = "; the same command continues where it stopped" if continues else ""
    to_stderr(f"interrupted{goes_on}")
    return 130


@contextmanager
def _one_interrupt() -> Iterator[list[int]]:
    """Raise `KeyboardInterrupt` once: a second ^C must not stop what the first one cleans up.

    Gives a list that holds the signal's number once it came.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def interrupt(number: int, frame: object) -> None:
        del frame
        seen.append(number)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _refused(argv: Sequence[str], failure: OSError) -> int:
    """Say what the system said, where no stage knew better; a reader that left needs no word."""
    if not failure.filename:
        _discard_stdout()
    if isinstance(failure, BrokenPipeError):
        return 1
    what = f"the system refused: {failure.strerror or failure}"
    hint = "check free space and permissions"
    return _fail(argv, StorageError(what, where=str(failure.filename or "stdout"), hint=hint))


def _discard_stdout() -> None:
    """Drop what can't be written, or Python would try and complain again as it ends."""
    with open(os.devnull, "w", encoding="ascii") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _command_path(wrong: click.ClickException) -> str:
    context = getattr(wrong, "ctx", None)
    return context.command_path if context is not None else "edgewise"


def _fail(argv: Sequence[str], failure: EdgewiseError) -> int:
    code = print_failure(failure, as_json="--json" in argv)
    to_stderr(f"error: {failure}")
    return code
