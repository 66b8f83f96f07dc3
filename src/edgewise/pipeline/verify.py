"""Whether the parts of a run directory are whole and belong together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.errors import EdgewiseError, IntegrityError, InvalidRecord
from edgewise.records import (
    Certificate,
    Plan,
    Policy,
    Profile,
    RunSummary,
    digest,
    read_json,
    seal,
)
from edgewise.runtimes import bundle_sha256, hash_file, read_manifest

HASHED = ("profile.json", "certificate.json", "policy.json", "plan.json", "report.html")
"""The parts beside the bundle whose hashes are in `run.json`."""

PAGE = "calibration.html"
"""The plot of a certificate that `edgewise calibrate` or `edgewise recertify` gave the run."""

_ANEW = "run `edgewise run` again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    holds: bool
    detail: str


def verify_run(run: Path) -> tuple[Check, ...]:
    """Check hashes and schema versions, and that all parts belong to one bundle and one run.

    Parameters
    ----------
    run
        The directory that `edgewise run --out` wrote.

    Returns
    -------
    tuple of Check
        In the order in which they build on each other; a part that can't be read fails its check.

    Raises
    ------
    InvalidRecord
        When there is no such directory.
    """
    if not run.is_dir():
        hint = "give a directory that `edgewise run --out` wrote"
        raise InvalidRecord("no such run", where=str(run), hint=hint)
    parts = _Parts(run)
    return (
        _check("bundle", parts.bundle),
        _check("profile", parts.profile),
        _check("certificate", parts.certificate),
        _check("policy", parts.policy),
        _check("plan", parts.plan),
        _check("report", parts.report),
        _check("summary", parts.summary),
    )


class _Parts:
    """What is in a run directory; a method a check, which gives what was found or raises."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._bundle_sha256 = ""

    def bundle(self) -> str:
        manifest = read_manifest(self._run / "bundle", verify=True)
        self._bundle_sha256 = bundle_sha256(manifest)
        return f"{len(manifest.files)} files match their hashes, bundle {self._bundle_sha256[:12]}"

    def profile(self) -> str:
        path = self._run / "profile.json"
        return self._belongs(path, read_json(Profile, path).bundle_sha256)

    def certificate(self) -> str:
        path = self._run / "certificate.json"
        certificate = read_json(Certificate, path)
        if seal(certificate) != certificate:
            raise IntegrityError("it was changed after it was made", where=str(path), hint=_ANEW)
        return f"{certificate.state.value}, {self._belongs(path, certificate.bundle_sha256)}"

    def policy(self) -> str:
        path = self._run / "policy.json"
        policy = read_json(Policy, path)
        if policy.certificate != read_json(Certificate, self._run / "certificate.json"):
            what = "holds another certificate than certificate.json"
            raise IntegrityError(what, where=str(path), hint=_ANEW)
        threshold = policy.tiers[0].threshold
        if policy.certificate is not None and threshold != policy.certificate.threshold:
            what = f"its threshold {threshold} is not the certified one"
            raise IntegrityError(what, where=str(path), hint=_ANEW)
        return self._belongs(path, policy.bundle_sha256)

    def plan(self) -> str:
        path = self._run / "plan.json"
        read_json(Plan, path)
        return self._unchanged(path)

    def report(self) -> str:
        return self._unchanged(self._run / "report.html")

    def summary(self) -> str:
        path = self._run / "run.json"
        summary = read_json(RunSummary, path)
        if digest(replace(summary, summary_sha256="")) != summary.summary_sha256:
            raise IntegrityError("it was changed after it was written", where=str(path), hint=_ANEW)
        for name in HASHED:
            self._unchanged(self._run / name)
        return self._belongs(path, summary.bundle.sha256)

    def _belongs(self, path: Path, sha256: str) -> str:
        if not self._bundle_sha256:
            raise IntegrityError("the bundle itself can't be read", where=str(path), hint=_ANEW)
        if sha256 != self._bundle_sha256:
            what = f"made for bundle {sha256[:12]}, and this one is {self._bundle_sha256[:12]}"
            raise IntegrityError(what, where=str(path), hint=_ANEW)
        return f"belongs to bundle {sha256[:12]}"

    def _unchanged(self, path: Path) -> str:
        wanted = read_json(RunSummary, self._run / "run.json").parts_sha256.get(path.name)
        if hash_file(path) != wanted:
            what = "its bytes differ from the hash in run.json"
            raise IntegrityError(what, where=str(path), hint=_ANEW)
        return f"matches its hash {wanted[:12]}"


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, holds=True, detail=look())
    except EdgewiseError as failure:
        return Check(name=name, holds=False, detail=f"{failure.where}: {failure.what}")
