"""Files of the observer read without a writer."""

import os  # the test's own rights, which it gives up for a moment
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edgewise.errors import InvalidRecord
from edgewise.observe import AuditFile, Auditor, DecisionLog, read_refuted, read_samples
from edgewise.observe.reading import read_decisions
from edgewise.records import (
    AuditRules,
    Decision,
    Policy,
    Reason,
    RequestFacts,
    TierKind,
    TierPolicy,
)
from edgewise.testing.route import CERTIFIED

_NOBODY = 65534


@pytest.mark.parametrize("row", ["{", "[" * 100_000, b"\xff\xfe{", None])
def test_a_row_that_is_no_json_is_named(tmp_path: Path, row: object) -> None:
    path = tmp_path / "decisions.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table decisions (decision)")
        connection.execute("insert into decisions values (?)", (row,))
        connection.commit()

    with pytest.raises(InvalidRecord) as caught:
        list(read_decisions(path))

    assert caught.value.what.startswith("a row is no decision: ")
    assert caught.value.where == str(path)
    assert caught.value.hint


@contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder, whoever runs the test."""
    before = os.geteuid()
    folder.chmod(0o555)
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        yield
    finally:
        os.seteuid(before)
        folder.chmod(0o755)


def test_files_are_read_where_nothing_can_be_written() -> None:
    edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8)
    tiers = (edge, TierPolicy(name="cloud", kind=TierKind.CLOUD))
    policy = Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=tiers,
        audit=AuditRules(),
        certificate=CERTIFIED,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, audit = folder / "log.sqlite", folder / "audit.sqlite"
        facts = RequestFacts(request_id="one", input_length=1, input_bytes=1)
        decision = Decision(
            request_id="one",
            at_s=1.7e9,
            policy_version="abc",
            facts=facts,
            allowed=("edge",),
            reasons=(Reason.CONFIDENT,),
            attempts=(),
            location="edge",
            latency_ms=1.0,
            cost_usd=0.0,
            confidence=0.9,
            certificate_state="certified",
        )
        with DecisionLog(log) as written:
            written.append(decision)
        auditor = Auditor(AuditFile(audit), rng=random.Random(1))
        auditor.begin(policy)
        auditor.close()
        audit.chmod(0o644)  # it is its owner's alone

        with sealed(folder):
            assert [one.request_id for one in read_decisions(log)] == ["one"]
            assert read_refuted(audit) == frozenset()
            assert list(read_samples(audit)) == []
