"""The description of the HTTP interface, as OpenAPI: `openapi.json` made that of one gateway."""

from importlib.resources import files
from typing import Any

from edgewise import __version__
from edgewise.gateway.bodies import from_json

_ADMIN = "/admin/"


def describe(name: str, *, keys: bool, admin: bool) -> dict[str, Any]:
    """Give the description of a gateway: its model's name, its keys, and its admin's interface.

    Parameters
    ----------
    keys, admin
        Whether the settings name any.
    """
    told: dict[str, Any] = from_json((files(__package__) / "openapi.json").read_bytes())
    told["info"]["version"] = __version__
    told["components"]["parameters"]["model"]["schema"]["enum"] = list(
        dict.fromkeys((name, "default"))
    )
    if not keys:
        told["security"] = []
    if not admin:
        paths = told["paths"]
        told["paths"] = {at: one for at, one in paths.items() if not at.startswith(_ADMIN)}
        told["tags"] = [one for one in told["tags"] if one["name"] != "admin"]
    return told
