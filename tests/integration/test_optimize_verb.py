"""`edgewise optimize` by the real command line: what it writes, refuses, and leaves alone."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from command_line import asides, content, edgewise, end, interrupt, start
from tiny_project import write_project

from edgewise.cli import main
from edgewise.runtimes import open_bundle, read_manifest

pytestmark = pytest.mark.integration

LOOSE = ("--min-agreement", "0.5", "--max-quality-loss", "0.1")
FEW = ("--passes", "float32", "--passes", "smooth,int8-dynamic")
ORDER = ("optimize", "model", "--data", "train.csv", "--out", "best", *LOOSE, *FEW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a model, labelled rows in train.csv, and texts alone in plain.csv."""
    write_project(tmp_path)
    rows = (tmp_path / "train.csv").read_text("utf-8").splitlines()
    plain = "\n".join(row.rpartition(",")[0] for row in rows)
    (tmp_path / "plain.csv").write_text(plain, encoding="utf-8")
    return tmp_path


def answer(*arguments: str, folder: Path, code: int = 0) -> dict[str, Any]:
    found = edgewise(*arguments, "--json", folder=folder)
    assert found.code == code, found
    answered: dict[str, Any] = json.loads(found.out)
    return answered


def records(folder: Path) -> dict[str, int]:
    """Give when each kept figure was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / ".edgewise").glob("*.json")}


def test_labelled_rows_end_in_a_classifier_that_answers(folder: Path) -> None:
    found = answer(*ORDER, folder=folder)

    chosen = found["chosen"]
    assert chosen in found["candidates"]
    assert found["task"] == "text-classification"
    assert [one["recipe"] for one in found["candidates"]] == [
        ["head:logistic"],
        ["head:logistic", "smooth", "int8-dynamic"],
    ]
    kept = [one for one in found["candidates"] if one["kept"]]
    assert all(one["p95_ms"] >= one["p50_ms"] > 0 and one["metric"] > 0.5 for one in kept)
    out = folder / "best"
    assert json.loads((out / "candidates.json").read_text("utf-8")) == found
    assert "<svg" in (out / "optimize.html").read_text("utf-8")
    assert {path.name for path in out.iterdir()} == {"bundle", "candidates.json", "optimize.html"}
    assert list(read_manifest(out / "bundle").recipe) == chosen["recipe"]
    model = open_bundle(out / "bundle")
    assert model.predict({"text": "great lovely superb film"}).label in ("negative", "positive")
    model.close()
    assert asides(folder) == []


@pytest.mark.slow
def test_rows_without_labels_end_in_an_encoder_near_the_source(folder: Path) -> None:
    found = answer("optimize", "model", "--data", "plain.csv", "--out", "best", *FEW, folder=folder)

    assert found["task"] == "feature-extraction"
    assert found["candidates"][0]["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert found["chosen"]["cosine"] >= 0.99
    assert found["chosen"]["metric"] is None
    model = open_bundle(folder / "best/bundle")
    assert model.embed([{"text": "good film"}]).shape == (1, 32)
    model.close()
    assert main(["profile", str(folder / "best/bundle"), "--batch", "2", "--json"]) == 0


def test_texts_are_cut_where_the_order_says_and_another_length_is_another_order(
    folder: Path,
) -> None:
    order = ("optimize", "model", "--data", "plain.csv", "--out", "best", "--passes", "float32")
    long, longer = " ".join(["good"] * 20), " ".join(["good"] * 20 + ["bad"] * 20)

    for length, is_cut in ((8, True), (48, False)):
        answer(*order, "--max-length", str(length), folder=folder)
        assert read_manifest(folder / "best/bundle").max_length == length
        model = open_bundle(folder / "best/bundle")
        seen = model.embed([{"text": long}]) == model.embed([{"text": longer}])
        assert seen.all() == is_cut
        model.close()


@pytest.mark.slow
def test_a_runtime_that_is_missing_is_named_and_skipped(folder: Path) -> None:
    found = edgewise(*ORDER, "--json", folder=folder)

    skipped = json.loads(found.out)["skipped_runtimes"]
    assert all(one["runtime"] and one["why"] for one in skipped)
    named = [line for line in found.err.splitlines() if "is skipped" in line]
    assert [line.split()[0] for line in named] == [
        one["runtime"] for one in skipped if one["command"]
    ]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--target", "storage=1KiB"), "storage is 1.0 KiB"),
        pytest.param(("--target", "memory=1MiB"), "memory is 1.0 MiB", marks=pytest.mark.slow),
        (("--target", "latency=0.0001ms"), "0.0001 ms is asked"),
        (("--passes", "int4-weights", "--max-quality-loss", "0"), "is allowed"),
    ],
)
def test_where_nothing_may_ship_the_answer_is_no_and_the_directory_untouched(
    folder: Path, more: tuple[str, ...], why: str
) -> None:
    (folder / "best").mkdir()
    (folder / "best/mine").write_text("mine", encoding="utf-8")
    before = content(folder / "best")
    order = ("optimize", "model", "--data", "train.csv", "--out", "best")
    recipes = () if "--passes" in more else FEW

    found = answer(*order, *LOOSE, *recipes, *more, folder=folder, code=3)

    assert found["chosen"] is None
    assert all(not one["kept"] for one in found["candidates"])
    assert any(why in reason for one in found["candidates"] for reason in one["why"])
    assert content(folder / "best") == before
    assert asides(folder) == []


@pytest.mark.slow
def test_an_order_interrupted_anywhere_continues_and_leaves_nothing_half_written(
    folder: Path,
) -> None:
    for stage in ("optimize: features", "optimize: candidates", "optimize: runtimes"):
        process = start(*ORDER, folder=folder)
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith(f"· {stage}"):
                interrupt(process)
                break
        ended = end(process, said)
        if ended.code == 0:  # its figures were kept, so the stage did not come
            continue
        assert ended.code == 130, ended
        assert ended.err.splitlines()[-1] == (
            "interrupted; the same command continues where it stopped"
        )
        assert not (folder / "best").exists()
        assert asides(folder) == []
    kept = records(folder)

    found = answer(*ORDER, folder=folder)

    assert found["chosen"] is not None
    assert {name: at for name, at in records(folder).items() if name in kept} == kept


def test_asked_again_nothing_is_measured_or_written_anew(folder: Path) -> None:
    first = answer(*ORDER, folder=folder)
    kept, written = records(folder), (folder / "best/candidates.json").stat().st_mtime_ns

    again = answer(*ORDER, folder=folder)

    assert again == first
    assert records(folder) == kept
    assert (folder / "best/candidates.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_another_order_replaces_the_parts_and_leaves_what_is_not_ours(folder: Path) -> None:
    answer(*ORDER, folder=folder)
    (folder / "best/notes.txt").write_text("mine", encoding="utf-8")

    found = answer(*ORDER, "--target", "storage=80KiB", folder=folder)

    assert found["chosen"]["recipe"] == ["head:logistic", "smooth", "int8-dynamic"]
    assert list(read_manifest(folder / "best/bundle").recipe) == found["chosen"]["recipe"]
    assert (folder / "best/notes.txt").read_text("utf-8") == "mine"


def test_a_second_order_on_the_same_directory_is_refused_and_the_first_ends_well(
    folder: Path,
) -> None:
    first = start(*ORDER, folder=folder)
    assert first.stderr is not None
    said = first.stderr.readline()

    second = edgewise(*ORDER, folder=folder)
    ended = end(first, said)

    second.refused("best: another run is at work on it")
    assert ended.code == 0, ended
    assert json.loads((folder / "best/candidates.json").read_text("utf-8"))["chosen"]
    assert asides(folder) == []
    assert not (folder / ".best.lock").exists()


def test_a_full_disk_is_said_and_leaves_nothing_half_written(folder: Path) -> None:
    def short_of_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    found = edgewise(*ORDER, folder=folder, before=short_of_room)

    assert "free" in found.refused("can't write")
    assert not (folder / "best").exists()
    assert asides(folder) == []


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("nowhere", "--data", "train.csv"), ("no such model", "nowhere"), 1),
        (("model", "--data", "nowhere.csv"), ("no such file", "nowhere.csv"), 1),
        (("model", "--data", "train.csv", "--passes", "int9"), ("no pass is called `int9`",), 2),
        (("model", "--data", "train.csv", "--target", "disk=1"), ("not a part of a target",), 2),
        (("model", "--data", "two.csv"), ("too few to hold some out",), 1),
        (("train.csv", "--data", "train.csv"), ("can't import a `.csv` file",), 1),
    ],
)
def test_a_mistake_is_said_with_its_place(
    folder: Path, arguments: tuple[str, ...], words: tuple[str, ...], code: int
) -> None:
    (folder / "two.csv").write_text("text\ngood\n", encoding="utf-8")

    found = edgewise("optimize", *arguments, "--out", "best", folder=folder)

    found.refused(*words, code=code)
    assert not (folder / "best").exists()
