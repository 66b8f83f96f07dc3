"""From a request that nobody answered to the error that says why."""

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    PrivacyViolation,
    RemoteError,
    TierUnavailable,
)
from edgewise.records import Outcome, Reason
from edgewise.route.running import Run


def gave_up(run: Run, reasons: tuple[Reason, ...]) -> EdgewiseError:
    """Give the error to raise for a request that was given up."""
    why = ", ".join(reason.value for reason in reasons)
    where = f"request {run.facts.request_id}"
    if Reason.PRIVACY_REFUSED in reasons:
        what = f"it holds what may not be answered ({', '.join(run.facts.refused)})"
        return PrivacyViolation(what, where=where, hint="leave that out of the request")
    timed_out = bool(run.attempts) and run.attempts[-1].outcome is Outcome.TIMED_OUT
    if Reason.DEADLINE_PASSED in reasons or timed_out:
        return DeadlineExceeded(
            f"no allowed tier answered in time: {why}", where=where, hint="allow more time"
        )
    if Reason.TOO_LARGE in reasons and not run.attempts:
        what = f"the input of {run.facts.input_bytes} bytes is too large: {why}"
        return InvalidData(what, where=where, hint="send less, or raise the tiers' max_input_bytes")
    failure = run.failure
    failed = bool(run.attempts) and run.attempts[-1].outcome is Outcome.FAILED
    if failed and isinstance(failure, RemoteError) and failure.blames_request:
        what = f"tier {run.attempts[-1].tier} refuses the request, {failure.what}: {why}"
        hint = "send another one: this one is refused again"
        return RemoteError(what, where=where, hint=hint, status=failure.status)
    tried = "; ".join(f"{one.tier}: {one.error or one.outcome.value}" for one in run.attempts)
    what = f"no allowed tier could answer ({tried or 'none was asked'}): {why}"
    hint = "check the tiers' endpoints, or try again when a circuit has closed"
    return TierUnavailable(what, where=where, hint=hint)
