"""Endpoints and their keys, checked before anything is sent."""

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from edgewise.errors import UsageError


def checked_key(api_key: str) -> str:
    """Give a key that HTTP can send.

    Raises
    ------
    UsageError
        When it is none; the key is not shown.
    """
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        what = "the API key holds a space, a line end or another character that HTTP can't send"
        raise UsageError(what, where="api_key", hint="give the key alone")
    return api_key


def joined_url(endpoint: str, path: str) -> str:
    """Give an endpoint's URL with a protocol's path, once.

    Raises
    ------
    UsageError
        When the endpoint is no URL.
    """
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not endpoint.isprintable() or " " in parts.netloc:
        what, hint = "not an http or https URL", "write it like https://host/path"
        raise UsageError(what, where="endpoint", hint=hint)
    if parts.path.rstrip("/").endswith(path):
        return endpoint
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))


def without_secrets(url: str) -> str:
    """Give a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def is_here(url: str) -> bool:
    """Say whether a URL leads to this machine by its own name or address.

    Examples
    --------
    >>> is_here("http://127.0.0.1:8080/v1"), is_here("http://site.example/v1")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
