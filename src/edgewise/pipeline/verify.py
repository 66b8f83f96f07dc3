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
    """Check hashes, schema versions, and that certificate, policy, profile and bundle belong together.

    Parameters
    ----------
    run
        The directory that `edgewise run --out` wrote.

    Returns
    -------
    tuple of Check
        In the order in which they build on each other; a part that can't be read fails its check.
    """
    bundle: list[str] = []

    def bundle_holds() -> str:
        manifest = read_manifest(run / "bundle", verify=True)
        bundle.append(bundle_sha256(manifest))
        return f"{len(manifest.files)} files match their hashes, bundle {bundle[0][:12]}"

    def belongs(kind: str, sha256: str) -> str:
        if not bundle:
            raise IntegrityError("the bundle itself can't be read", where=str(run / kind))
        if sha256 != bundle[0]:
            what = f"made for bundle {sha256[:12]}, and this one is {bundle[0][:12]}"
            raise IntegrityError(what, where=str(run / kind), hint="run `edgewise run` again")
        return f"belongs to bundle {sha256[:12]}"

    def profile_holds() -> str:
        return belongs("profile.json", read_json(Profile, run / "profile.json").bundle_sha256)

    def certificate_holds() -> str:
        certificate = read_json(Certificate, run / "certificate.json")
        return (
            f"{certificate.state.value}, {belongs('certificate.json', certificate.bundle_sha256)}"
        )

    def policy_holds() -> str:
        policy = read_json(Policy, run / "policy.json")
        if policy.certificate != read_json(Certificate, run / "certificate.json"):
            what = "holds another certificate than certificate.json"
            raise IntegrityError(
                what, where=str(run / "policy.json"), hint="run `edgewise run` again"
            )
        threshold = policy.tiers[0].threshold
        if policy.certificate is not None and threshold != policy.certificate.threshold:
            what = f"its threshold {threshold} is not the certified one"
            raise IntegrityError(
                what, where=str(run / "policy.json"), hint="run `edgewise run` again"
            )
        return belongs("policy.json", policy.bundle_sha256)

    def plan_holds() -> str:
        read_json(Plan, run / "plan.json")
        return "can be read"

    def summary_holds() -> str:
        return belongs("run.json", read_json(RunSummary, run / "run.json").bundle.sha256)

    return (
        _check("bundle", bundle_holds),
        _check("profile", profile_holds),
        _check("certificate", certificate_holds),
        _check("policy", policy_holds),
        _check("plan", plan_holds),
        _check("summary", summary_holds),
    )


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, holds=True, detail=look())
    except EdgewiseError as failure:
        return Check(name=name, holds=False, detail=f"{failure.where}: {failure.what}")
