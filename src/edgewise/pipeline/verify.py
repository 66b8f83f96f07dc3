"""Whether the parts of a run directory are whole and belong together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgewise.errors import EdgewiseError, IntegrityError
from edgewise.records import Certificate, Plan, Policy, Profile, RunSummary, read_json
from edgewise.runtimes import bundle_sha256, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    holds: bool
    detail: str


def verify_run(run: Path) -> tuple[Check, ...]:
    """Check that the parts can be read, are whole, and belong to one bundle.

    Parameters
    ----------
    run
        The directory that `edgewise run --out` wrote.

    Returns
    -------
    tuple of Check
        In the order in which they build on each other; a part that can't be read fails its check.
    """
    parts = _Parts(run)
    return (
        _check("bundle", parts.bundle),
        _check("profile", parts.profile),
        _check("certificate", parts.certificate),
        _check("policy", parts.policy),
        _check("plan", parts.plan),
        _check("summary", parts.summary),
    )


class _Parts:
    """The looks at one run; each says what it found, or raises. `bundle` is asked first."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._bundle_sha256: str | None = None

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
        return f"{certificate.state.value}, {self._belongs(path, certificate.bundle_sha256)}"

    def policy(self) -> str:
        path = self._run / "policy.json"
        policy = read_json(Policy, path)
        certificate = read_json(Certificate, self._run / "certificate.json")
        if policy.certificate != certificate:
            raise _stranger("holds another certificate than certificate.json", path)
        threshold = policy.tiers[0].threshold
        if threshold != certificate.threshold:
            raise _stranger(f"its threshold {threshold} is not the certified one", path)
        return self._belongs(path, policy.bundle_sha256)

    def plan(self) -> str:
        read_json(Plan, self._run / "plan.json")
        return "can be read"

    def summary(self) -> str:
        path = self._run / "run.json"
        return self._belongs(path, read_json(RunSummary, path).bundle.sha256)

    def _belongs(self, path: Path, sha256: str) -> str:
        if self._bundle_sha256 is None:
            raise IntegrityError("the bundle itself can't be read", where=str(path))
        if sha256 != self._bundle_sha256:
            what = f"made for bundle {sha256[:12]}, and this one is {self._bundle_sha256[:12]}"
            raise _stranger(what, path)
        return f"belongs to bundle {sha256[:12]}"


def _stranger(what: str, path: Path) -> IntegrityError:
    return IntegrityError(what, where=str(path), hint="run `edgewise run` again")


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, holds=True, detail=look())
    except EdgewiseError as failure:
        return Check(name=name, holds=False, detail=f"{failure.where}: {failure.what}")
