"""An engine behind a port: OpenAI's interface, the Open Inference Protocol v2 and plain JSON.

A run, a policy or a bundle goes in, a running server comes out. Read `app.py` first, then
`http.py`, which speaks HTTP, and `server.py`, which runs both.
"""

from edgewise import extras

with extras.needed("gateway"):
    from edgewise.gateway.app import Gateway
    from edgewise.gateway.events import Events
    from edgewise.gateway.explaining import explain_settings, settings_schema
    from edgewise.gateway.faults import Faults
    from edgewise.gateway.reading import read_settings
    from edgewise.gateway.server import Serving, resolve_bundle, serve
    from edgewise.gateway.settings import Settings

__all__ = [
    "Events",
    "Faults",
    "Gateway",
    "Serving",
    "Settings",
    "explain_settings",
    "read_settings",
    "resolve_bundle",
    "serve",
    "settings_schema",
]
