"""What `deploy/` and the guide of operations say is what the command line and the gateway take."""

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from edgewise.cli.serve import command
from edgewise.gateway import Settings, read_settings

ROOT = Path(__file__).parents[2]


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(ROOT / "deploy/edgewise-gateway.service")
    return parser["Service"]


def entrypoint() -> list[str]:
    text = (ROOT / "deploy/Containerfile").read_text()
    found = re.search(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    return words


def pinned(file: str) -> set[str]:
    return set(re.findall(r"^(\S+==\S+)", (ROOT / file).read_text(), re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested_here() -> None:
    held = pinned("deploy/gateway.lock")
    names = {one.partition("==")[0] for one in held}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["gateway"]]
    assert {re.split(r"[^\w-]", one)[0] for one in needed} <= names
    assert held <= pinned("requirements.lock")


@pytest.mark.parametrize("words", [shlex.split(unit()["ExecStart"]), entrypoint()])
def test_what_is_started_is_a_command_that_there_is(words: list[str]) -> None:
    assert Path(words[0]).name == "edgewise"
    assert words[1] == "serve"

    given = command.make_context("serve", words[2:]).params

    assert str(given["config"]).startswith("/etc/")


def test_the_unit_waits_until_what_is_under_way_is_answered() -> None:
    assert float(unit()["TimeoutStopSec"]) > Settings().drain_s
    assert unit()["KillSignal"] == "SIGTERM"
    assert "-HUP" in unit()["ExecReload"]


def test_the_settings_of_the_guide_are_read_and_kept_where_the_unit_may_write(
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    found = re.search(r"```yaml\n(host: .*?)```", text, re.DOTALL)
    assert found is not None
    file = tmp_path / "gateway.yaml"
    digests = found[1].replace("THE FIRST DIGEST", "a" * 64).replace("THE SECOND DIGEST", "b" * 64)
    file.write_text(digests)

    settings = read_settings(file)

    state = f"/var/lib/{unit()['StateDirectory']}/"
    assert settings.log.startswith(state)
    assert settings.audit.startswith(state)
    assert settings.callers[0].name == "app"
    assert settings.admin is not None
