"""The command group. Verbs load when they are called, so `--help` brings in nothing heavy."""

import importlib
import sys
from collections.abc import Sequence

import click

from edgewise import __version__
from edgewise.cli.show import print_json, to_stderr
from edgewise.errors import EdgewiseError, UsageError

VERBS = {
    "init": "write a starting edgewise.yaml from a data file and a model",
    "doctor": "say what this machine can run and what is missing",
    "run": "build, profile, certify and plan a project into a run directory",
    "profile": "measure a bundle on this machine, or compare several",
    "predict": "answer one text or file through the engine of a run",
    "serve": "serve a bundle by the Open Inference Protocol v2 and plain JSON",
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
    try:
        return int(app.main(args=argv, prog_name="edgewise", standalone_mode=False) or 0)
    except click.ClickException as wrong:
        return _fail(argv, UsageError(wrong.format_message(), hint=_usage_hint(wrong)))
    except (click.Abort, KeyboardInterrupt):
        to_stderr("interrupted; the same command continues where it stopped")
        return 130
    except EdgewiseError as failure:
        return _fail(argv, failure)


def _usage_hint(wrong: click.ClickException) -> str:
    context = getattr(wrong, "ctx", None)
    path = context.command_path if context is not None else "edgewise"
    return f"{path} --help"


def _fail(argv: Sequence[str], failure: EdgewiseError) -> int:
    if "--json" in argv:
        kind = type(failure).__name__
        error = {"kind": kind, "what": failure.what, "where": failure.where, "hint": failure.hint}
        print_json({"error": error})
    to_stderr(f"error: {failure}")
    return 2 if isinstance(failure, UsageError) else 1
