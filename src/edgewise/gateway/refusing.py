"""From what went wrong to an answer that says so, in the words of each protocol."""

import math
from enum import Enum
from typing import Any

import msgspec

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    PrivacyViolation,
    RemoteError,
    StorageError,
    TierUnavailable,
    UsageError,
)
from edgewise.gateway.messages import Response
from edgewise.records import Reason

_TRY_AGAIN_S = 1.0
_SPENT_S = 60.0
_STATUS: tuple[tuple[type[EdgewiseError], int], ...] = (
    (InvalidData, 400),
    (UsageError, 400),
    (PrivacyViolation, 403),
    (DeadlineExceeded, 504),
    (TierUnavailable, 503),
    (StorageError, 503),
)
_FAILED = "the server failed; its log says why"


class Form(Enum):
    """How a protocol words an error."""

    PLAIN = "plain"
    OPENAI = "openai"


class Refusal(Exception):
    """The gateway says no before the engine is asked."""

    def __init__(
        self, status: int, what: str, *, hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.hint = status, what, hint
        self.retry_after_s = retry_after_s


def refused(failure: Exception, form: Form) -> Response:
    """Give the answer to a request that failed."""
    if isinstance(failure, Refusal):
        status, what, hint = failure.status, failure.what, failure.hint
        retry_s = failure.retry_after_s
    elif isinstance(failure, EdgewiseError):
        status, retry_s = _status(failure)
        what, hint = failure.what, failure.hint
    else:
        status, what, hint, retry_s = 500, _FAILED, "", None
    answer = Response(status=status, body=msgspec.json.encode(_worded(status, what, hint, form)))
    if retry_s is not None:
        answer.headers.append(("retry-after", str(max(1, math.ceil(retry_s)))))
    if isinstance(failure, EdgewiseError):
        answer.headers.append(("x-edgewise-error", type(failure).__name__))
    return answer


def _status(failure: EdgewiseError) -> tuple[int, float | None]:
    if isinstance(failure, TierUnavailable) and Reason.BUDGET_SPENT.value in failure.what:
        return 429, _SPENT_S
    if isinstance(failure, RemoteError) and failure.blames_request:
        return (413 if failure.status == 413 else 400), None  # asked again, it is refused again
    # What else can be wrong, such as the model, is no fault of who asks.
    status = next((status for kind, status in _STATUS if isinstance(failure, kind)), 500)
    if status != 503:
        return status, None
    told_s = failure.retry_after_s if isinstance(failure, RemoteError) else None
    return status, _TRY_AGAIN_S if told_s is None else told_s


def _worded(status: int, what: str, hint: str, form: Form) -> dict[str, Any]:
    if form is Form.PLAIN:
        return {"error": what, "hint": hint} if hint else {"error": what}
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    if status == 429:
        kind = "rate_limit_error"
    told = f"{what}; {hint}" if hint else what
    return {"error": {"message": told, "type": kind, "param": None, "code": None}}
