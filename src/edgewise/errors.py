"""Everything that Edgewise raises on purpose.

EdgewiseError
├── UsageError            the call itself is wrong (exit code 2)
├── InvalidRecord         a record or a file of ours does not hold together
│   └── SchemaMismatch    a file was written by another version of the format
├── InvalidSpec           `edgewise.yaml` says something that can't be
├── InvalidData           a data file, a split or one request's input is unusable
├── InvalidModel          a model file can't be read, converted or run
├── IntegrityError        bytes differ from their hash, or two parts don't belong together
├── MissingExtra          an optional dependency is not installed
├── PrivacyViolation      the call would take private input where it may not go
├── TierUnavailable       no allowed tier could answer
│   ├── AnswerBrokenOff   a stream failed after a piece of it was handed out
│   ├── RemoteError       a remote tier failed or answered nonsense
│   └── DeadlineExceeded  the answer did not come in time
└── StorageError          no space, no permission, or a file that can't be written

Children differ by what a caller would do about them.
"""


class EdgewiseError(Exception):
    """A failure that says what is wrong, where, and how to mend it.

    Parameters
    ----------
    what
        The failure in one lower-case sentence without a full stop.
    where
        A file with line and column, a field path, or a URL without secrets.
    hint
        A thing to do about it.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n\nhint: {self.hint}" if self.hint else text


class UsageError(EdgewiseError):
    """The call itself is wrong."""


class InvalidRecord(EdgewiseError):
    """A record or one of our files does not hold together."""


class SchemaMismatch(InvalidRecord):
    """A file was written by another version of the format."""


class InvalidSpec(EdgewiseError):
    """The project file says something that can't be."""


class InvalidData(EdgewiseError):
    """A data file, a split or one request's input is unusable."""


class InvalidModel(EdgewiseError):
    """A model file can't be read, converted or run."""


class IntegrityError(EdgewiseError):
    """Bytes differ from their hash, or two parts do not belong together."""


class MissingExtra(EdgewiseError):
    """An optional dependency is not installed."""


class PrivacyViolation(EdgewiseError):
    """The call would take private input where it may not go."""


class TierUnavailable(EdgewiseError):
    """No allowed tier could answer."""


class AnswerBrokenOff(TierUnavailable):
    """A stream failed after a piece of it was handed out: no other tier can take over."""


class RemoteError(TierUnavailable):
    """A remote tier failed or answered nonsense.

    Parameters
    ----------
    status
        The HTTP status of the answer; `None` where no whole answer came.
    retry_after_s
        How long the endpoint asked to be left alone, where it said so.
    maybe_served
        Whether the endpoint may have done the work, and charge for it: it answered nonsense, or the
        connection broke after the request was sent.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        maybe_served: bool = False,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s
        self.maybe_served = maybe_served

    @property
    def blames_request(self) -> bool:
        """Whether the status blames the request itself: it is refused again, the tier is well."""
        return self.status in (400, 413, 414, 415, 422, 431)


class DeadlineExceeded(TierUnavailable):
    """The answer did not come in time."""


class StorageError(EdgewiseError):
    """No space, no permission, or a file that can't be written."""
