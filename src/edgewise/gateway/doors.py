"""Who asks, whether they may, and how often."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from functools import lru_cache

from edgewise.gateway.messages import Request
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.settings import CallerRules, Settings

_NOBODY = "0" * 64
_MOST_NAME = 64


class Rate:
    """A bucket of requests that fills at a rate. Time is handed in."""

    __slots__ = ("_burst", "_left", "_per_s", "_then_s")

    def __init__(self, per_s: float, burst: float | None = None) -> None:
        self._per_s = per_s
        self._burst = max(1.0, 2.0 * per_s if burst is None else burst)
        self._left = self._burst
        self._then_s: float | None = None

    def take(self, now_s: float) -> float | None:
        """Take one; gives `None`, or the seconds until there is one."""
        if self._then_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._then_s) * self._per_s)
        self._then_s = now_s
        if self._left >= 1.0:
            self._left -= 1.0
            return None
        return (1.0 - self._left) / self._per_s


class Doors:
    """Lets callers in. Made by the gateway from its settings.

    A key is looked up by its digest, so what the look-up's time tells is of the digest, which
    nobody can steer towards another; the comparison itself takes the same time for all.
    """

    def __init__(self, settings: Settings, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._by_digest = {one.key_sha256: one for one in settings.callers}
        self._rates = {
            one.name: Rate(one.requests_per_s, one.burst)
            for one in settings.callers
            if one.requests_per_s is not None
        }
        admin = settings.admin
        self._admin = None if admin is None else admin.token_sha256
        self._hosts = {one.lower() for one in (settings.host, *settings.hosts)}
        self.asks_for_keys = bool(settings.callers)

    def enter(self, request: Request) -> str:
        """Give the caller's name, once its key and its rate allow the request.

        Raises
        ------
        Refusal
            When they do not.
        """
        if not self.asks_for_keys:
            self._check_place(request)
            name = request.headers.get("x-edgewise-caller", "")
            return name if len(name) <= _MOST_NAME and name.isprintable() else ""
        caller = self._caller(request)
        if caller is None:
            raise Refusal(401, "no key, or one that is not known", hint="send it as a bearer token")
        rate = self._rates.get(caller.name)
        wait_s = None if rate is None else rate.take(self._now_s())
        if wait_s is not None:
            raise Refusal(429, "too many requests", retry_after_s=wait_s)
        return caller.name

    def look(self, request: Request) -> str:
        """Let in who may read metrics: a caller, the admin, or anybody where there are no keys.

        Gives the caller's name; it is empty for the others.

        Raises
        ------
        Refusal
            When it is none of them.
        """
        if not self.asks_for_keys:
            self._check_place(request)
            return ""
        caller = self._caller(request)
        if caller is None and not self._is_admin(request):
            raise Refusal(401, "no key, or one that is not known", hint="send it as a bearer token")
        return "" if caller is None else caller.name

    def administer(self, request: Request) -> None:
        """Let in who has the admin's token.

        Raises
        ------
        Refusal
            When there is no such token, or another was sent.
        """
        if self._admin is None:
            raise Refusal(404, "no such path")
        if not self._is_admin(request):
            raise Refusal(401, "not the admin's token", hint="send it as a bearer token")

    def _caller(self, request: Request) -> CallerRules | None:
        digest = _digest(request)
        found = self._by_digest.get(digest)
        known = _NOBODY if found is None else found.key_sha256
        return found if hmac.compare_digest(known, digest) else None

    def _is_admin(self, request: Request) -> bool:
        return self._admin is not None and hmac.compare_digest(self._admin, _digest(request))

    def _check_place(self, request: Request) -> None:
        """Keep web pages out: without keys a browser here would ask for any of them."""
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            what, hint = "not a name of this server", "name it under `hosts` in the settings"
            raise Refusal(421, what, hint=hint)
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Refusal(403, "asked from another site", hint="use keys")

    def _is_ours(self, host: str) -> bool:
        name = _bare(host)
        return name in ("localhost", "") or name in self._hosts or _is_address(name)


def _digest(request: Request) -> str:
    told = request.headers.get("authorization", "")
    scheme, _, key = told.partition(" ")
    if scheme.lower() != "bearer":
        key = request.headers.get("x-api-key", "")
    return hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()


@lru_cache(maxsize=256)
def _bare(host: str) -> str:
    """Give a host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


@lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
