"""A bundle behind a port: the Open Inference Protocol v2 and plain JSON.

A bundle directory goes in, an ASGI application or a running server comes out. Read `app.py`.
"""

from edgewise import extras

with extras.needed("gateway"):
    from edgewise.gateway.app import build_app
    from edgewise.gateway.server import Serving, resolve_bundle, serve

__all__ = ["Serving", "build_app", "resolve_bundle", "serve"]
