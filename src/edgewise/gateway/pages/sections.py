"""The dashboard's sections: from the state to HTML. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from edgewise.gateway.pages.markup import Html, element, figure, table, tiles
from edgewise.gateway.pages.words import LOSSES, WORDS, watched_words
from edgewise.records import Loss, Reason
from edgewise.report.chart import Chart, Line, Mark, draw
from edgewise.report.layout import both
from edgewise.units import format_ms, format_usd

State = dict[str, Any]

_STYLES = ("s1", "s2", "s3")
_NOTHING = "–"


def sections(state: State) -> dict[str, Html]:
    """Give each section's inside by its id."""
    return {name: make(state) for name, make in _SECTIONS.items()}


def news(state: State) -> str:
    """Say in a sentence how things stand: what a screen reader says when it changes."""
    if state["draining"]:
        return "The gateway is stopping."
    out = [one["name"] for one in state["tiers"] if one["circuit"] == "open" or not one["ready"]]
    certificate = state["certificate"]
    said = "Requests are welcome." if state["ready"] else "No tier can be asked."
    if out:
        said += f" Left alone: {', '.join(out)}."
    if certificate is not None and certificate["state"] == "void":
        said += " The certificate is void."
    watched = [] if state["drift"] is None else state["drift"]["watched"]
    differs = [watched_words(one["name"]) for one in watched if one["differs"]]
    if differs:
        said += f" Inputs differ: {'; '.join(differs)}."
    return said


def _overview(state: State) -> Html:
    traffic, money = state["traffic"], state["money"]
    return tiles(
        [
            ("Decisions", f"{traffic['decisions']:,}"),
            ("Unanswered", f"{traffic['failed']:,}"),
            ("Under way", state["in_flight"]),
            ("Refused for want of a place", f"{state['refused']:,}"),
            ("Spent", format_usd(money["spent_usd"])),
            ("Policy", element("code", state["policy_version"][:12])),
        ]
    )


def _traffic(state: State) -> Html:
    traffic = state["traffic"]
    total = max(1, traffic["decisions"])
    places = table(
        "Where answers came from, since the start",
        ("Place", "Requests", "Share"),
        [(name, f"{n:,}", f"{n / total:.1%}") for name, n in traffic["locations"].items()],
    )
    reasons = table(
        "Why, since the start; a decision can have several reasons",
        ("Reason", "Decisions", "Meaning"),
        [(code, f"{n:,}", WORDS[Reason(code)]) for code, n in traffic["reasons"].items()],
    )
    charts = element(
        "div",
        _over_time(traffic, "locations", "Answers a second, by place"),
        _over_time(traffic, "reasons", "Reasons a second, the three most frequent"),
        class_="charts",
    )
    return element("div", charts, places, reasons)


def _over_time(traffic: State, key: str, title: str) -> Html:
    names = list(traffic[key])[:3]
    buckets = traffic["over_time"][:-1]  # the last one is not over: its sum is no rate yet
    if not names or len(buckets) < 2:
        return _empty(title, "A curve is here after 30 seconds with requests.")
    last_s = buckets[-1]["at_s"]
    lines = [
        Line(
            name=name,
            points=[
                ((one["at_s"] - last_s) / 60, one[key].get(name, 0) / traffic["bucket_s"])
                for one in buckets
            ],
            style=style,
        )
        for name, style in zip(names, _STYLES, strict=False)
    ]
    told = ", ".join(f"{one.name} {one.points[-1][1]:g}" for one in lines)
    chart = Chart(
        title=title,
        description=f"In the last whole ten seconds, a second: {told}",
        x_label="minutes",
        y_label="a second",
        lines=lines,
    )
    return figure(title, both(partial(draw, chart)))


def _tiers(state: State) -> Html:
    rows = [
        (
            one["name"],
            one["kind"],
            "ready" if one["ready"] else "not loaded",
            one["circuit"],
            one["in_flight"],
            f"{one['calls']:,}",
            f"{one['failed']:,}",
            _ms(one["p50_ms"]),
            _ms(one["p95_ms"]),
            _ms(one["rtt_p50_ms"] or None),
            _ms(one["rtt_p95_ms"] or None),
            f"{one['loss_share']:.1%}",
        )
        for one in state["tiers"]
    ]
    heads = ["Tier", "Kind", "Model", "Circuit", "Under way", "Calls", "Failed"]
    heads += ["Latency p50", "Latency p95", "Network p50", "Network p95", "Lost"]
    caption = "Tiers: their circuit and network, and how long their last 500 answers took"
    if state["processes"] > 1:
        caption += f"; circuit, network and what is under way in one of {state['processes']} "
        caption += "processes"
    return table(caption, heads, rows)


def _money(state: State) -> Html:
    money, budget = state["money"], state["budget"]
    facts: list[tuple[str, object]] = [
        ("Spent", format_usd(money["spent_usd"])),
        ("Always-cloud would have spent", format_usd(money["always_cloud_usd"])),
        ("Saved", format_usd(money["saved_usd"])),
        ("May not leave, not compared", f"{money['kept_near']:,}"),
    ]
    if budget is not None:
        for name, window in (("Today", "day"), ("This month", "month")):
            limit = budget[f"usd_per_{window}"]
            if limit is not None:  # without one nothing is counted
                used = format_usd(budget[f"{window}_usd"])
                facts.append((f"{name}, spent or set aside", f"{used} of {format_usd(limit)}"))
    said = "" if budget is not None else element("p", "The policy has no budget.")
    return element("div", tiles(facts), said)


def _certificate(state: State) -> Html:
    one = state["certificate"]
    if one is None:
        return element("p", "The policy has no certificate: nothing is promised.")
    facts = [
        ("State", element("strong", one["state"], class_=_tone(one["state"]))),
        (f"Promised at most, with {1 - one['delta']:.0%} confidence", f"{one['alpha']:g}"),
        ("Bound", _NOTHING if one["bound"] is None else f"{one['bound']:.4f}"),
        ("Threshold", _NOTHING if one["threshold"] is None else f"{one['threshold']:.4f}"),
        ("Examples", f"{one['n']:,}"),
    ]
    loss = element("p", f"The loss that is bounded, {one['loss']}: {LOSSES[Loss(one['loss'])]}.")
    if one["e_value"] is None:
        return element("div", tiles(facts), loss, element("p", "No audit watches it."))
    limit = _NOTHING if one["void_from"] is None else f"{one['void_from']:g}"
    facts += [("Evidence against it", f"{one['e_value']:.3g}"), ("Void from", limit)]
    return element("div", tiles(facts), loss, element("div", _evidence(state), class_="charts"))


def _drift(state: State) -> Html:
    one = state["drift"]
    if one is None:
        return element("p", "The policy holds nothing that inputs could be compared with.")
    rows = [
        (watched_words(of["name"]), _differs(of["differs"]), _number(of["distance"]))
        for of in one["watched"]
    ]
    caption = f"Inputs against the calibration split, {one['window']:,} requests at a time"
    heads = ("Watched", "State", "Stability index")
    said = "What differs is a warning: the certificate was made of other inputs."
    return element("div", table(caption, heads, rows), element("p", said))


def _differs(differs: object) -> Html:
    if differs is None:
        return element("span", "no window yet", class_="soft")
    said, tone = ("differs", "no") if differs else ("as before", "yes")
    return element("strong", said, class_=tone)


def _evidence(state: State) -> Html:
    title = "Evidence against the certificate (e-value)"
    buckets = [one for one in state["traffic"]["over_time"] if one["e_value"] is not None]
    void_from = state["certificate"]["void_from"]
    if len(buckets) < 2:
        return _empty(title, "A curve is here after 20 seconds with requests.")
    last_s = buckets[-1]["at_s"]
    xs = [(one["at_s"] - last_s) / 60 for one in buckets]
    values = [max(one["e_value"], 1e-6) for one in buckets]
    lines = [Line(name="e-value", points=list(zip(xs, values, strict=True)), style="s1")]
    if void_from is not None:
        level = [(xs[0], void_from), (xs[-1], void_from)]
        lines.append(Line(name="void from", points=level, style="s2"))
    marks = [
        Mark(x=x, note="void")
        for x, value in zip(xs, values, strict=True)
        if void_from is not None and value >= void_from
    ][:1]
    chart = Chart(
        title=title,
        description=f"Now {values[-1]:.3g}; the certificate is void from {void_from}",
        x_label="minutes",
        y_label="e-value",
        lines=lines,
        marks=marks,
        log_y=True,
    )
    return figure(title, both(partial(draw, chart)))


def _rollout(state: State) -> Html:
    one = state["rollout"]
    if one is None:
        return element("p", "No rollout: the settings name no admin.")
    shadow, canary = one["shadow"], one["canary"]
    parts: list[object] = []
    if shadow is None:
        parts.append(element("p", "No policy decides in the shadow."))
    else:
        cost = shadow["cost_usd"]
        parts.append(
            tiles(
                [
                    ("Shadow policy", element("code", shadow["policy_version"][:12])),
                    ("Compared", f"{shadow['compared']:,}"),
                    ("Would differ", f"{shadow['changed']:,}"),
                    ("Cost in service", format_usd(cost["in_service"])),
                    ("Cost by the shadow", format_usd(cost["shadow"])),
                ]
            )
        )
        rows = [(o["from"], o["to"], f"{o['requests']:,}") for o in shadow["changes"]]
        parts.append(table("What would differ", ("From", "To", "Requests"), rows))
    if canary is not None:
        rows = [
            (name, f"{of['requests']:,}", f"{of['failures']:,}")
            for name, of in (("canary", canary), ("in service", canary["control"]))
        ]
        back = ", taken back" if canary["taken_back"] else ""
        caption = f"Canary at a share of {canary['share']:.0%}{back}"
        parts.append(table(caption, ("Policy", "Requests", "Failed"), rows))
    return element("div", *parts)


def _latest(state: State) -> Html:
    rows = [
        (
            element("time", _clock(one["at_s"])),
            one["location"] or one["error"] or "none",
            ", ".join(one["reasons"]),
            _ms(one["latency_ms"]),
            format_usd(one["cost_usd"]),
            _NOTHING if one["confidence"] is None else f"{one['confidence']:.3f}",
            element(
                "button",
                "Replay",
                type="button",
                data_decision=one["request_id"],
                aria_label=f"Replay the decision of {_clock(one['at_s'])}",
            ),
        )
        for one in state["latest"]
    ]
    heads = ("Time (UTC)", "Place", "Reasons", "Latency", "Cost", "Confidence", "Steps")
    return table("The last decisions, the newest first", heads, rows)


def _empty(title: str, said: str) -> Html:
    return element("figure", element("figcaption", title), element("p", said))


def _tone(state: str) -> str:
    return {"certified": "yes", "void": "no"}.get(state, "soft")


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _ms(value: float | None) -> str:
    return _NOTHING if value is None else format_ms(value)


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


_SECTIONS: dict[str, Callable[[State], Html]] = {
    "overview": _overview,
    "traffic": _traffic,
    "tiers": _tiers,
    "money": _money,
    "certificate": _certificate,
    "drift": _drift,
    "rollout": _rollout,
    "latest": _latest,
}
TITLES = {
    "overview": "Now",
    "traffic": "Where traffic goes, and why",
    "tiers": "Tiers, latency and network",
    "money": "Money and budget",
    "certificate": "Certificate",
    "drift": "Inputs: are they still those of the certificate?",
    "rollout": "Shadow and canary",
    "latest": "Last decisions",
}
