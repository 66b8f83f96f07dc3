"""A walk through a decision, as HTML: what a replay and the playground show. Pure."""

from collections.abc import Mapping
from typing import Any

from edgewise.gateway.pages.markup import Html, element, table, tiles
from edgewise.gateway.pages.walking import Walk
from edgewise.gateway.pages.words import reason_words, step_words
from edgewise.records import Decision, RequestFacts, encode
from edgewise.route.looking import Sight
from edgewise.units import format_ms, format_usd


def shown_replay(decision: Decision, walk: Walk) -> Html:
    """Give a logged decision beside what is decided again on its facts."""
    same = walk.location == decision.location and not walk.unknown
    said = (
        "Decided again on the logged facts, it comes out the same."
        if same
        else "Decided again on the logged facts alone, it comes out otherwise: "
        "the state of tiers and network at that time is not logged."
    )
    reasons = ", ".join(one.value for one in decision.reasons)
    facts = [
        ("Request", element("code", decision.request_id)),
        ("Logged place", decision.location or decision.error or "none"),
        ("Privacy set", ", ".join(decision.allowed) or "no tier"),
        ("Latency", format_ms(decision.latency_ms)),
        ("Cost", format_usd(decision.cost_usd)),
    ]
    return element(
        "div",
        tiles(facts),
        element("p", f"Logged reasons: {reasons}."),
        element("p", said),
        _steps(walk),
    )


def shown_sight(sight: Sight, walk: Walk) -> Html:
    """Give what would be decided for an input, from privacy to cost."""
    facts = sight.facts
    rows = [
        (
            tier.name,
            tier.kind.value,
            _network(sight, tier.name),
            _number(sight.confidence.get(tier.name)),
            _number(tier.threshold),
            format_usd(tier.usd(facts.input_tokens, facts.output_tokens)),
        )
        for tier in sight.policy.tiers
    ]
    cost_usd = sum(one.cost_usd for one in walk.attempts)
    return element(
        "div",
        tiles(
            [
                ("Privacy", _privacy(facts)),
                ("May see it", ", ".join(walk.steps[0].allowed) if walk.steps else "no tier"),
                ("Input", f"{facts.input_length:,} long, {facts.input_bytes:,} bytes"),
                ("Answered by", walk.location or "nobody"),
                ("Cost", format_usd(cost_usd)),
            ]
        ),
        table(
            "What is known of each tier",
            ("Tier", "Kind", "Network p50", "Confidence", "Threshold", "Price"),
            rows,
        ),
        _steps(walk),
    )


def walk_json(walk: Walk, facts: RequestFacts) -> dict[str, Any]:
    """Give a walk as JSON has it."""
    return {
        "location": walk.location,
        "unknown": walk.unknown,
        "refused": walk.refused,
        "facts": encode(facts),
        "steps": [encode(one) for one in walk.steps],
    }


def _steps(walk: Walk) -> Html:
    after: Mapping[int, Any] = dict(enumerate(walk.attempts))
    rows = []
    for place, step in enumerate(walk.steps):
        ended = after.get(place)
        came = "–"
        if ended is not None:
            came = ended.outcome.value
            if ended.latency_ms:  # of what is foreseen on this machine it is not known
                came += f" in {format_ms(ended.latency_ms)}"
            if ended.confidence is not None:
                came += f", confidence {ended.confidence:.3f}"
            if ended.error:
                came += f", {ended.error}"
        rows.append((str(place + 1), step_words(step), reason_words(step.reasons), came))
    said: list[Html] = []
    if walk.unknown:
        said.append(element("p", f"What {walk.unknown} would say is not known."))
    if walk.refused:
        said.append(element("p", f"No decision: {walk.refused}."))
    return element(
        "div", table("Step by step", ("Step", "What", "Why", "What came of it"), rows), *said
    )


def _privacy(facts: RequestFacts) -> str:
    found = ["marked private"] if facts.private else []
    for name, kinds in (
        ("kept on the device for", facts.detected),
        ("redacted", facts.redacted),
        ("refused for", facts.refused),
    ):
        if kinds:
            found.append(f"{name} {', '.join(kinds)}")
    return "; ".join(found) or "nothing found"


def _network(sight: Sight, name: str) -> str:
    state = sight.states.get(name)
    if state is None or not state.rtt_p50_ms:
        return "–"
    return f"{format_ms(state.rtt_p50_ms)}{', circuit open' if state.circuit_open else ''}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
