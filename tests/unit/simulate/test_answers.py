"""The table of answers, and what stands in for it."""

from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import InvalidData
from edgewise.records import Certificate, CertificateState, Loss, Policy, TierKind, TierPolicy
from edgewise.simulate import TraceBlock, read_answers, table_of

HEADER = "edge_confidence,edge_correct,cloud_correct,text_id\n"


def policy(threshold: float | None, certificate: Certificate | None) -> Policy:
    tier = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=threshold)
    return Policy(task="t", labels=(), tiers=(tier,), certificate=certificate)


def certificate(threshold: float) -> Certificate:
    return Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.NET,
        alpha=0.05,
        delta=0.05,
        n=500,
        threshold=threshold,
        deferral_rate=0.3,
        bound=0.04,
    )


def block(*ids: str) -> TraceBlock:
    n = len(ids)
    return TraceBlock(
        first=0,
        t_s=np.arange(float(n)),
        input_tokens=np.ones(n),
        output_tokens=np.ones(n),
        text_ids=ids,
        lines=range(2, n + 2),
    )


def test_a_text_finds_its_row(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(HEADER + "0.9,1,1,a\n0.4,0,1,b\n")

    table = read_answers(path)

    assert table.draw(block("b", "a", "b"), np.zeros(3), "trace.csv").tolist() == [1, 0, 1]
    assert table.confidence.tolist() == [0.9, 0.4]
    with pytest.raises(InvalidData) as caught:
        table.draw(block("a", "c"), np.zeros(2), "trace.csv")
    assert caught.value.what == "the table of answers has no text `c`"
    assert caught.value.where == "trace.csv:3"
    assert caught.value.hint


def test_rows_without_texts_are_drawn_at_random(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("edge_confidence,edge_correct,cloud_correct\n0.9,1,1\n0.4,0,1\n")

    drawn = read_answers(path).draw(block("x", "y"), np.array([0.0, 0.99]), "")

    assert drawn.tolist() == [0, 1]


def test_a_gain_is_given_or_predicted_from_a_text(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    columns = "edge_confidence,edge_correct,cloud_correct"

    path.write_text(f"{columns},text,gain\n0.9,1,1,good,-0.25\n0.4,0,1,bad film,0.5\n")
    given = read_answers(path, lambda text: float(len(text)))
    path.write_text(f"{columns},text\n0.9,1,1,good\n0.4,0,1,bad film\n")
    predicted = read_answers(path, lambda text: len(text) / 100)
    unknown = read_answers(path)

    assert given.gain is not None
    assert given.gain.tolist() == [-0.25, 0.5]
    assert predicted.gain is not None
    assert predicted.gain.tolist() == [0.04, 0.08]
    assert unknown.gain is None


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (
            "edge_confidence,edge_correct,cloud_correct,gain\n1,1,1,-2\n",
            ":2",
            "`gain` is no number from -1 to 1: `-2`",
        ),
        ("edge_confidence,edge_correct\n1,1\n", ":1", "no column `cloud_correct`"),
        (HEADER + "0.9,1,1,a\n0.9,2,1,b\n", ":3", "`edge_correct` is no number from 0 to 1: `2`"),
        (HEADER + "nan,1,1,a\n", ":2", "`edge_confidence` is no number from 0 to 1: `nan`"),
        (HEADER + "0.9,1,yes,a\n", ":2", "`cloud_correct` is no number from 0 to 1: `yes`"),
        (HEADER + "0.9,1,1,a\n0.8,1,1,a\n", ":3", "text_id `a` stands twice"),
        (HEADER, "answers.csv", "the table holds no answers"),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)

    with pytest.raises(InvalidData) as caught:
        read_answers(path)

    assert caught.value.what == what
    assert caught.value.where.endswith(where)
    assert caught.value.hint


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        read_answers(tmp_path / "none.csv")

    assert caught.value.what.startswith("can't be read")
    assert caught.value.where.endswith("none.csv")
    assert "edge_confidence" in caught.value.hint


def test_a_certificate_says_how_many_are_deferred() -> None:
    table = table_of(policy(0.8, certificate(0.8)))

    assert (table.confidence < 0.8).mean() == pytest.approx(0.3)
    assert "500 rows" in table.assumed


@pytest.mark.parametrize("threshold", [None, 0.7])
def test_without_a_certificate_of_the_threshold_confidence_is_assumed(
    threshold: float | None,
) -> None:
    table = table_of(policy(threshold, certificate(0.8)))

    assert (table.confidence < 0.7).mean() == pytest.approx(0.7)
    assert table.assumed.startswith("confidence: uniform")
    assert table.near_correct is None


def test_blanks_after_the_commas_of_a_header_are_no_part_of_names(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(HEADER.replace(",", ", ") + "0.9,1,1,a\n0.4,0,1,b\n")

    assert read_answers(path).rows == {"a": 0, "b": 1}
