"""The command line's exits, and what it says of mistakes."""

import importlib
import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from edgewise.cli import main
from edgewise.cli.app import VERBS

REVIEWS = "review,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(100))


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    shown = capsys.readouterr().out
    verbs = ("init", "doctor", "run", "optimize", "profile", "predict", "serve", "verify")
    assert all(verb in shown for verb in verbs)


def test_an_unknown_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert "hint: edgewise --help" in capsys.readouterr().err


def test_an_error_is_json_where_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nowhere.yaml", "--json"]) == 1

    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "InvalidSpec"
    assert "edgewise init" in error["hint"]


def test_doctor_names_what_is_there_and_how_to_get_what_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0

    assert "onnxruntime" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1
    assert all(part["found"] or part["command"] for part in found["runtimes"])


@pytest.mark.parametrize("text", ["60", "a,b", "180,60", "0,5"])
def test_a_bad_delay_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "nowhere", "--delay-ms", text]) == 2
    assert "--delay-ms" in capsys.readouterr().err


def test_serving_what_is_no_bundle_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path), "--port", "0"]) == 1
    assert "neither a run nor a bundle" in capsys.readouterr().err


def test_init_writes_a_project_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "all.csv").write_text(REVIEWS, encoding="utf-8")
    out = tmp_path / "project" / "edgewise.yaml"
    (tmp_path / "m.onnx").touch()

    arguments = ["init", "--data", str(tmp_path / "all.csv"), "--model", str(tmp_path / "m.onnx")]
    assert main([*arguments, "--out", str(out), "--json"]) == 0
    assert main([*arguments, "--out", str(out)]) == 1

    assert {path.name for path in (out.parent / "data").iterdir()} == {
        "train.csv",
        "calibration.csv",
        "test.csv",
    }
    assert "there is a file already" in capsys.readouterr().err


def test_init_explains_every_key_and_gives_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--explain"]) == 0
    assert "max_quality_loss: 0.02" in capsys.readouterr().out
    assert main(["init", "--schema"]) == 0
    assert "properties" in json.loads(capsys.readouterr().out)["schema"]
    assert main(["init", "--explain", "--chats"]) == 0
    assert "commit_after_tokens: 16" in capsys.readouterr().out
    assert main(["init", "--explain", "--gateway"]) == 0
    assert "port: 8080" in capsys.readouterr().out
    assert main(["init", "--schema", "--gateway"]) == 0
    assert "Settings" in json.loads(capsys.readouterr().out)["schema"]["$defs"]
    assert main(["init"]) == 2


@pytest.mark.parametrize("with_it", [[], ["--explain", "--chats"]])
def test_init_has_nothing_to_write_for_the_gateway(
    with_it: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--gateway", *with_it]) == 2

    said = capsys.readouterr().err
    assert "--gateway: it goes with --explain or --schema" in said
    assert "hint: edgewise init --explain --gateway" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("place", "p.yaml", "--seconds", "inf"),
        ("place", "p.yaml", "--gap-share", "nan"),
        ("optimize", "m", "--data", "d.csv", "--out", "o", "--max-quality-loss", "nan"),
        ("optimize", "m", "--data", "d.csv", "--out", "o", "--min-agreement", "nan"),
        ("optimize", "m", "--data", "d.csv", "--out", "o", "--search", "--minutes", "nan"),
        ("serve", "run", "--fail-rate", "nan"),
    ],
)
def test_what_is_no_number_is_in_no_range(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    assert f"{arguments[-1]!r} is no finite number" in capsys.readouterr().err


def test_init_writes_no_project_for_text_generation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "edgewise.yaml"

    assert main(["init", "--chats", "--data", "a.csv", "--model", "m", "--out", str(out)]) == 2

    assert "--chats: it goes with --explain or --schema" in capsys.readouterr().err
    assert not out.exists()


def test_init_says_what_it_wrote_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "all.csv", tmp_path / "edgewise.yaml"
    data.write_text(REVIEWS, encoding="utf-8")
    (tmp_path / "m.onnx").touch()
    model = str(tmp_path / "m.onnx")

    assert main(["init", "--data", str(data), "--model", model, "--out", str(out)]) == 0

    *wrote, after = capsys.readouterr().out.splitlines()
    assert len(wrote) == 4
    assert all(Path(line.removeprefix("wrote ")).is_file() for line in wrote)
    assert after == f"next: edgewise run {out}"


def test_init_gives_the_next_command_as_a_shell_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model, out = tmp_path / "all.csv", tmp_path / "m.onnx", tmp_path / "my own/edgewise.yaml"
    data.write_text(REVIEWS, encoding="utf-8")
    model.touch()

    assert main(["init", "--data", str(data), "--model", str(model), "--out", str(out)]) == 0

    after = capsys.readouterr().out.splitlines()[-1].removeprefix("next: ")
    assert shlex.split(after) == ["edgewise", "run", str(out)]


def test_init_writes_nothing_for_a_model_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "all.csv", tmp_path / "project/edgewise.yaml"
    data.write_text(REVIEWS, encoding="utf-8")

    assert main(["init", "--data", str(data), "--model", "gone.onnx", "--out", str(out)]) == 1

    said = capsys.readouterr().err
    assert "gone.onnx: no such model" in said
    assert "hint: give an ONNX file or a Hugging Face directory" in said
    assert not out.parent.exists()


def test_the_explanation_is_json_where_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--explain", "--json"]) == 0

    assert "max_quality_loss: 0.02" in json.loads(capsys.readouterr().out)["yaml"]


def test_a_shell_completes_the_verbs_in_the_order_of_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_EDGEWISE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "edgewise ")
    monkeypatch.setenv("COMP_CWORD", "1")

    with pytest.raises(SystemExit) as left:
        main([])

    assert left.value.code == 0
    verbs = [line.removeprefix("plain,") for line in capsys.readouterr().out.splitlines()]
    assert verbs == list(VERBS)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8"])
def test_what_an_encoding_does_not_have_is_replaced(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))

    code = main(["init", "--explain"])
    sys.stdout.flush()

    text = written.getvalue().decode(encoding)
    assert code == 0
    assert "(1 − δ)" in text if encoding == "utf-8" else "(1 ? ?)" in text


def test_to_import_the_module_that_starts_the_program_does_not_start_it() -> None:
    assert importlib.import_module("edgewise.__main__").main is main


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--search"], "--search and --minutes go together"),
        (["--minutes", "1"], "--search and --minutes go together"),
        (["--search", "--minutes", "0"], "--minutes"),
        (["--target", "memory=lots"], "not a size: `lots`"),
        (["--min-cosine", "2"], "--min-cosine"),
    ],
)
def test_a_wrong_order_to_optimize_is_wrong_usage(
    more: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["optimize", "nowhere", "--data", "none.csv", "--out", "out", *more]) == 2
    assert what in capsys.readouterr().err


def test_a_refused_start_is_an_event_on_stderr_and_an_error_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path), "--port", "0", "--json"]) == 1

    said = capsys.readouterr()
    event, error = json.loads(said.err), json.loads(said.out)["error"]
    assert (event["event"], event["level"]) == ("refused", "error")
    assert {name: event[name] for name in ("what", "where", "hint")} == {
        name: error[name] for name in ("what", "where", "hint")
    }
    assert event["error"] == error["kind"] == "InvalidModel"
