"""How the gateway runs: what `gateway.yaml` may say, with its defaults. The door to `msgspec`.

Every field is a key of the file. Paths are relative to the file. A secret is never in it: of a
key there is its SHA-256.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgewise.gateway.http import HttpLimits

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the certificate and its key lie."""

    certificate: str
    key: str


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one connection, and one request, may ask."""

    head_bytes: int = 32_768
    body_bytes: int = 8_000_000
    batch: int = 1024
    read_s: float = 30.0
    idle_s: float = 75.0
    write_s: float = 60.0
    connections: int = 10_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is not above 0")

    def http(self) -> HttpLimits:
        """Give those that the server reads."""
        return HttpLimits(
            head_bytes=self.head_bytes,
            body_bytes=self.body_bytes,
            read_s=self.read_s,
            idle_s=self.idle_s,
            write_s=self.write_s,
            connections=self.connections,
        )


class AdmissionRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a request is refused at once, because it would wait too long."""

    most_in_flight: int = 512
    lag_ms: float = 100.0
    """The event loop may be this late; beyond it fewer requests are let in."""

    def __post_init__(self) -> None:
        if self.most_in_flight < 1 or not self.lag_ms > 0:
            raise ValueError("`most_in_flight` and `lag_ms` are above 0")


class Batching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests to the local model share a run of it."""

    most: int = 1
    """Inputs a run; at 1 an answer never depends on its company."""

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError("`most` is above 0")


class CallerRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask, and how often. Its budget is the policy's, under the same name."""

    name: str
    key_sha256: str
    requests_per_s: float | None = None
    burst: float | None = None
    """Requests at once; by default those of two seconds."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("`name` is letters, digits, dots and dashes")
        if not _SHA256.fullmatch(self.key_sha256):
            raise ValueError("`key_sha256` is 64 hex digits: printf %s KEY | sha256sum")
        for rate in (self.requests_per_s, self.burst):
            if rate is not None and not rate > 0:
                raise ValueError("`requests_per_s` and `burst` are above 0")


class AdminRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may administer."""

    token_sha256: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.token_sha256):
            raise ValueError("`token_sha256` is 64 hex digits: printf %s TOKEN | sha256sum")


class Traces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where spans are sent, and of how many requests. Needs the extra `otel`."""

    endpoint: str
    """Of an OTLP collector over HTTP, such as `http://127.0.0.1:4318/v1/traces`."""
    share: float = 0.01

    def __post_init__(self) -> None:
        if not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("`endpoint` is an http or https URL")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError("`share` is 0 to 1")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a gateway's settings."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    """Processes; each has its own model, metrics, rates and limits."""
    name: str = ""
    """The model's name in paths; by default its bundle's."""
    log: str = ""
    """Where decisions are kept; empty keeps none."""
    drain_s: float = 30.0
    """What is under way when the gateway is told to stop has this long to end."""
    without_keys: bool = False
    """Listen beyond this machine although anybody could ask."""
    hosts: tuple[str, ...] = ()
    """Further names by which clients reach a gateway without keys."""
    threads: int | None = None
    """Of the local model; by default those that its manifest names."""
    tls: Tls | None = None
    traces: Traces | None = None
    """By default nothing is traced."""
    limits: Limits = Limits()
    admission: AdmissionRules = AdmissionRules()
    batching: Batching = Batching()
    callers: tuple[CallerRules, ...] = ()
    admin: AdminRules | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError("`port` is 0 to 65535")
        if not 1 <= self.workers <= 256:
            raise ValueError("`workers` is 1 to 256")
        if not self.drain_s >= 0:
            raise ValueError("`drain_s` is 0 or more")
        names = [one.name for one in self.callers]
        digests = [one.key_sha256 for one in self.callers]
        if len(set(names)) < len(names) or len(set(digests)) < len(digests):
            raise ValueError("`callers` names a caller or a key twice")

    def changed(self, given: Mapping[str, object]) -> "Settings":
        """Give the settings with what the command line says in their place."""
        said = {key: value for key, value in given.items() if value not in (None, False, "")}
        # 0 is equal to False, and a port.
        said |= {key: value for key, value in given.items() if type(value) is int}
        return msgspec.structs.replace(self, **said)


def beside(path: str, file: Path | None) -> Path:
    """Give a path of the settings, which is relative to their file."""
    return Path(path) if file is None else file.parent / path
