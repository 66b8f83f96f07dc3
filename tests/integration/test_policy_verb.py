"""`edgewise policy` on files and runs: what it shows, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewise.cli import main
from edgewise.errors import EdgewiseError, IntegrityError, InvalidRecord, SchemaMismatch
from edgewise.pipeline import open_policy
from edgewise.records import Policy, digest, encode, read_json

pytestmark = pytest.mark.integration


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """Give a finished run that a test may change."""
    return Path(shutil.copytree(finished_run / "run", tmp_path / "run"))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_a_run_shows_its_policy_with_its_version(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = read_json(Policy, run / "policy.json")

    assert main(["policy", "show", str(run)]) == 0
    told = capsys.readouterr().out
    assert main(["policy", "show", str(run / "policy.json"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert told.splitlines()[0] == f"version {digest(policy)}"
    assert "tier edge" in told.splitlines()
    assert f"  alpha: {policy.certificate.alpha}" in told  # type: ignore[union-attr]
    assert found == {"schema_version": 1, "version": digest(policy), "policy": encode(policy)}


def test_a_diff_says_what_loosens_first_and_ends_in_0(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run.parent / "other.json"
    shutil.copy(run / "policy.json", other)
    edit(other, lambda policy: policy["privacy"].update(detect=["email"]))
    edit(other, lambda policy: policy["retry"].update(most=3))

    assert main(["policy", "diff", str(other), str(run)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert main(["policy", "diff", str(other), str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert told[3].startswith("loosens: ")
    assert told[4] == '  privacy.kinds.email: "keep" → null'
    assert told[7] == "changes otherwise (1)"
    assert [one["effect"] for one in found["changes"]] == ["loosens", "changes"]


def test_a_policy_differs_in_nothing_from_itself(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "diff", str(run), str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "both say the same"


def _newer(run: Path) -> None:
    edit(run / "policy.json", lambda policy: policy.update(schema_version=2))


def _forged(run: Path) -> None:
    edit(run / "policy.json", lambda policy: policy["certificate"].update(n=9_999_999))


def _moved(run: Path) -> None:
    edit(run / "policy.json", lambda policy: policy["tiers"][0].update(threshold=0.1))


def _of_another(run: Path) -> None:
    edit(run / "policy.json", lambda policy: policy.update(bundle_sha256="0" * 64))


def _other_certificate(run: Path) -> None:
    edit(run / "certificate.json", lambda certificate: certificate.update(n=9_999_999))


def _other_bundle(run: Path) -> None:
    edit(run / "bundle/manifest.json", lambda manifest: manifest.update(source_sha256="0" * 64))


@pytest.mark.parametrize(
    ("change", "kind", "what", "where", "hint"),
    [
        (
            _newer,
            SchemaMismatch,
            "schema version 2, and this edgewise reads 1",
            "policy.json",
            "use the edgewise version that wrote it, or write it anew",
        ),
        (
            _forged,
            IntegrityError,
            "it was changed after it was made",
            "policy.json: certificate",
            "certify anew",
        ),
        (_moved, IntegrityError, "the policy has 0.1", "policy.json: certificate", "certify anew"),
        (
            _of_another,
            IntegrityError,
            "not for 000000000000",
            "policy.json: certificate",
            "certify anew",
        ),
        (
            _other_certificate,
            IntegrityError,
            "it is another certificate than the one in policy.json",
            "certificate.json",
            "run `edgewise run` again",
        ),
        (_other_bundle, IntegrityError, "the policy is for bundle", "bundle", "run `edgewise run`"),
        (
            shutil.rmtree,
            InvalidRecord,
            "no such file or directory",
            "run",
            "give a policy.json, or a directory that `edgewise run` wrote",
        ),
        (
            lambda run: (run / "policy.json").unlink(),
            InvalidRecord,
            "no such file",
            "policy.json",
            "did `edgewise run` finish?",
        ),
    ],
)
def test_what_was_changed_by_hand_or_does_not_belong_is_refused(
    run: Path,
    change: Callable[[Path], object],
    kind: type[EdgewiseError],
    what: str,
    where: str,
    hint: str,
) -> None:
    change(run)

    with pytest.raises(kind) as caught:
        open_policy(run)

    assert what in caught.value.what
    assert caught.value.where.endswith(where)
    assert hint in caught.value.hint


def test_a_refusal_is_one_object_with_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _forged(run)

    assert main(["policy", "diff", str(run), str(run), "--json"]) == 1

    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "IntegrityError"
