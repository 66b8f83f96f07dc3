"""How the gateway runs: what `gateway.yaml` may say, with its defaults. The door to `msgspec`.

Every field is a key of the file, with its meaning. Paths are relative to the file. A secret is
never in it: of a key there is its SHA-256.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgewise.gateway.http import HttpLimits

_SHA256 = re.compile(r"[0-9a-f]{64}")
_OF_NOTHING = hashlib.sha256().hexdigest()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _above_0(one: msgspec.Struct, *names: str) -> None:
    for name in names:
        value = getattr(one, name)
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` is not above 0")


def _check_digest(name: str, digest: str, of: str) -> None:
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"`{name}` is 64 hex digits: printf %s {of} | sha256sum")
    if digest == _OF_NOTHING:  # who sends no key would have it
        raise ValueError(f"`{name}` is the digest of nothing: {of} was empty")


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the certificate and its key lie."""

    certificate: Annotated[str, Meta(description="a PEM file: the chain, its own first")]
    key: Annotated[str, Meta(description="a PEM file: the private key")]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one connection, and one request, may ask."""

    head_bytes: Annotated[int, Meta(description="of a request's first line and headers")] = 32_768
    body_bytes: Annotated[int, Meta(description="of a request's body")] = 8_000_000
    batch: Annotated[int, Meta(description="inputs of one request")] = 1024
    read_s: Annotated[
        float, Meta(description="a request that has begun is here within this time")
    ] = 30.0
    idle_s: Annotated[
        float, Meta(description="a connection without a request is closed after this time")
    ] = 75.0
    write_s: Annotated[
        float, Meta(description="a reader that takes nothing for this long has gone away")
    ] = 60.0
    connections: Annotated[int, Meta(description="open at once; more are closed")] = 10_000

    def __post_init__(self) -> None:
        _above_0(self, *self.__struct_fields__)

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

    most_in_flight: Annotated[int, Meta(description="requests under way; more are refused")] = 512
    lag_ms: Annotated[
        float,
        Meta(description="how late the event loop may be; beyond it fewer requests are let in"),
    ] = 100.0

    def __post_init__(self) -> None:
        _above_0(self, "most_in_flight", "lag_ms")


class Batching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests to the local model share a run of it."""

    most: Annotated[
        int, Meta(description="inputs a run; at 1 an answer never depends on its company")
    ] = 1

    def __post_init__(self) -> None:
        _above_0(self, "most")


class CallerRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask, and how often. Its budget is the policy's, under the same name."""

    name: Annotated[str, Meta(description="letters, digits, . _ -; budgets and logs know it so")]
    key_sha256: Annotated[str, Meta(description="64 hex digits: printf %s KEY | sha256sum")]
    requests_per_s: Annotated[float | None, Meta(description="null: no limit")] = None
    burst: Annotated[
        float | None, Meta(description="requests at once; null: those of two seconds")
    ] = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("`name` is letters, digits, dots and dashes")
        _check_digest("key_sha256", self.key_sha256, "KEY")
        _above_0(self, "requests_per_s", "burst")


class AdminRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may administer."""

    token_sha256: Annotated[str, Meta(description="64 hex digits: printf %s TOKEN | sha256sum")]

    def __post_init__(self) -> None:
        _check_digest("token_sha256", self.token_sha256, "TOKEN")


class Traces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where spans are sent, and of how many requests. Needs the extra `otel`."""

    endpoint: Annotated[
        str,
        Meta(description="an OTLP collector over HTTP, such as http://127.0.0.1:4318/v1/traces"),
    ]
    share: Annotated[float, Meta(description="of requests that are traced, 0 to 1")] = 0.01

    def __post_init__(self) -> None:
        if not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("`endpoint` is an http or https URL")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError("`share` is 0 to 1")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a gateway's settings."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(description="0 takes a free one")] = 8080
    workers: Annotated[
        int, Meta(description="processes on the port, each with its own model, rates and limits")
    ] = 1
    name: Annotated[str, Meta(description="of the model in paths; empty: its bundle's")] = ""
    log: Annotated[str, Meta(description="file of decisions; empty: none is kept")] = ""
    audit: Annotated[
        str, Meta(description="file of the audit; empty: `audit.sqlite` beside the policy")
    ] = ""
    events: Annotated[
        Literal["auto", "json", "plain"],
        Meta(description="what it says of itself on stderr; auto: plain at a terminal, else json"),
    ] = "auto"
    drain_s: Annotated[
        float, Meta(description="what is under way when it is told to stop has this long to end")
    ] = 30.0
    without_keys: Annotated[
        bool, Meta(description="listen beyond this machine although anybody could ask")
    ] = False
    hosts: Annotated[
        tuple[str, ...], Meta(description="more names by which clients reach it without keys")
    ] = ()
    threads: Annotated[
        int | None, Meta(description="of the local model; null: as its manifest says")
    ] = None
    tls: Annotated[Tls | None, Meta(description="null: plain HTTP")] = None
    traces: Annotated[
        Traces | None, Meta(description="spans, with the extra `otel`; null: none")
    ] = None
    limits: Annotated[Limits, Meta(description="what one connection and one request may ask")] = (
        Limits()
    )
    admission: Annotated[AdmissionRules, Meta(description="when a request is refused at once")] = (
        AdmissionRules()
    )
    batching: Annotated[
        Batching, Meta(description="how requests share a run of the local model")
    ] = Batching()
    callers: Annotated[
        tuple[CallerRules, ...], Meta(description="who may ask; none: anybody on this machine")
    ] = ()
    admin: Annotated[AdminRules | None, Meta(description="who may administer; null: nobody")] = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError("`port` is 0 to 65535")
        if not 1 <= self.workers <= 256:
            raise ValueError("`workers` is 1 to 256")
        if not self.drain_s >= 0:
            raise ValueError("`drain_s` is 0 or more")
        _above_0(self, "threads")
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


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one key of the file. Made by `keys_of`."""

    name: str
    meaning: str
    default: object
    """`msgspec.NODEFAULT` where it has to be given."""
    section: type[msgspec.Struct] | None
    """What stands below it, where it holds keys of its own."""
    many: bool
    """Whether it holds a list of sections."""


def keys_of(section: type[msgspec.Struct]) -> Iterator[Key]:
    """Give the keys of a section in their order."""
    for field in msgspec.structs.fields(section):
        kind = msgspec.inspect.type_info(field.type)
        assert isinstance(kind, msgspec.inspect.Metadata)
        schema, inner = kind.extra_json_schema or {}, kind.type
        many = isinstance(inner, msgspec.inspect.VarTupleType)
        if isinstance(inner, msgspec.inspect.VarTupleType):
            inner = inner.item_type
        kinds = inner.types if isinstance(inner, msgspec.inspect.UnionType) else (inner,)
        below = [one.cls for one in kinds if isinstance(one, msgspec.inspect.StructType)]
        yield Key(
            name=field.name,
            meaning=str(schema["description"]),
            default=field.default,
            section=below[0] if below else None,
            many=many,
        )


def beside(path: str, file: Path | None) -> Path:
    """Give a path of the settings, which is relative to their file."""
    return Path(path) if file is None else file.parent / path
