"""Whole pages around what is shown, and the headers that keep them to themselves."""

from collections.abc import Mapping

from edgewise.gateway.messages import Headers
from edgewise.gateway.pages.markup import Html, element
from edgewise.gateway.pages.sections import TITLES

HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Headers = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
]


def dashboard(inside: Mapping[str, Html], said: str, *, keys: bool) -> str:
    """Give the dashboard. With keys it is empty until its reader has given one."""
    shown = [
        element(
            "section",
            element("h2", title, id=f"{name}-title"),
            element("div", inside.get(name, ""), id=name, data_live=""),
            aria_labelledby=f"{name}-title",
        )
        for name, title in TITLES.items()
    ]
    replay = element(
        "section",
        element("h2", "One decision, step by step", id="replay-title"),
        element("div", element("p", "Choose “Replay” beside a decision."), id="replay"),
        aria_labelledby="replay-title",
        tabindex="-1",
        id="replay-section",
    )
    pause = element("button", "Pause", type="button", id="pause", aria_pressed="false")
    return _page("Dashboard", "/", said, [pause], [*shown, replay], keys=keys)


def playground(*, keys: bool) -> str:
    """Give the playground."""
    form = Html(
        '<form id="ask"><p><label for="text">Text</label>'
        '<textarea id="text" rows="4" maxlength="20000">A quick check</textarea></p>'
        '<p><label><input type="checkbox" id="private"> Marked private</label></p>'
        '<p><label for="rtt">Network, median round trip: <output id="rtt-said" for="rtt">'
        "as it is</output></label>"
        '<input type="range" id="rtt" min="-1" max="2000" step="1" value="-1"></p>'
        '<p><label for="threshold">Threshold of the nearest tier: '
        '<output id="threshold-said" for="threshold">as it is</output></label>'
        '<input type="range" id="threshold" min="-0.01" max="1" step="0.01" value="-0.01"></p>'
        '<p><button type="submit">Decide</button></p></form>'
    )
    told = element(
        "p",
        "What would be decided for a text. The model on this machine reads it; it is not sent on, "
        "not logged and not kept. With a slider at its left end, things are as they are.",
    )
    ask = element(
        "section",
        element("h2", "Ask", id="ask-title"),
        told,
        form,
        aria_labelledby="ask-title",
    )
    seen = element(
        "section",
        element("h2", "What would be decided", id="seen-title"),
        element("div", "", id="seen"),
        aria_labelledby="seen-title",
        tabindex="-1",
    )
    return _page("Playground", "/playground", "", [], [ask, seen], keys=keys)


def _page(
    title: str, path: str, said: str, tools: list[Html], sections: list[Html], *, keys: bool
) -> str:
    links = [
        element("a", name, href=at, **({"aria_current": "page"} if at == path else {}))
        for name, at in (("Dashboard", "/"), ("Playground", "/playground"))
    ]
    key = Html("")
    if keys:
        key = Html(
            '<form id="key-form"><label for="key">Key</label> '
            '<input id="key" type="password" autocomplete="off" required> '
            '<button type="submit">Use it</button></form>'
        )
    status = element("p", said, id="news", role="status", aria_live="polite")
    head = element(
        "header",
        element("p", "edgewise", class_="kicker"),
        element("h1", title),
        element("nav", *links, aria_label="Pages"),
        key,
        status,
        *tools,
    )
    skip = element("a", "Skip to the content", href="#content", class_="skip")
    main = element("main", *sections, id="content", tabindex="-1")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · edgewise</title>"
        '<link rel="icon" href="/assets/icon.svg">'
        '<link rel="stylesheet" href="/assets/pages.css">'
        '<script src="/assets/pages.js" defer></script></head>'
        f'<body data-keys="{"yes" if keys else "no"}">{skip}{head}{main}</body></html>'
    )
