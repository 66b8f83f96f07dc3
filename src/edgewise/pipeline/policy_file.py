"""A policy read from a file or a run, with a certificate that is as it was sealed."""

from pathlib import Path

from edgewise.errors import IntegrityError, InvalidRecord
from edgewise.records import Certificate, Policy, check_certificate, read_json
from edgewise.runtimes import bundle_sha256, read_manifest


def open_policy(path: Path) -> Policy:
    """Read a policy.

    Parameters
    ----------
    path
        A `policy.json`, or a directory that `edgewise run` or `edgewise calibrate --out` wrote.

    Raises
    ------
    InvalidRecord
        When there is none, or it can't be read.
    SchemaMismatch
        When another edgewise wrote it.
    IntegrityError
        When its certificate was changed, or belongs to another threshold or bundle; in a
        directory, when the certificate or the bundle beside it is another one.
    """
    if not path.exists():
        hint = "give a policy.json, or a directory that `edgewise run` wrote"
        raise InvalidRecord("no such file or directory", where=str(path), hint=hint)
    file = path / "policy.json" if path.is_dir() else path
    policy = read_json(Policy, file)
    if policy.certificate is not None:
        check_certificate(
            policy.certificate,
            bundle_sha256=policy.bundle_sha256,
            threshold=policy.tiers[0].threshold,
            where=f"{file}: certificate",
        )
    if path.is_dir():
        _check_beside(policy, path)
    return policy


def _check_beside(policy: Policy, folder: Path) -> None:
    certificate, bundle = folder / "certificate.json", folder / "bundle"
    hint = "run `edgewise run` again"
    if certificate.exists() and read_json(Certificate, certificate) != policy.certificate:
        what = "it is another certificate than the one in policy.json"
        raise IntegrityError(what, where=str(certificate), hint=hint)
    if policy.bundle_sha256 and bundle.exists():
        found = bundle_sha256(read_manifest(bundle))
        if found != policy.bundle_sha256:
            what = f"the policy is for bundle {policy.bundle_sha256[:12]}, not for {found[:12]}"
            raise IntegrityError(what, where=str(bundle), hint=hint)
