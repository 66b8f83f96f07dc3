"""The gateway's own pages: the dashboard at `/` and the playground.

`attach` adds them to a gateway. They are made here, on the server; one script of ours puts in what
changed. Nothing is loaded from elsewhere. Read `site.py`.
"""

from edgewise.gateway.pages.site import attach

__all__ = ["attach"]
