"""The pages' paths: what a browser asks for, and what it gets."""

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from edgewise.errors import InvalidData, UsageError
from edgewise.gateway.app import Gateway, Route
from edgewise.gateway.asking import Asked
from edgewise.gateway.bodies import read_object, to_json
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.pages import shell
from edgewise.gateway.pages.history import History
from edgewise.gateway.pages.sections import news, sections
from edgewise.gateway.pages.state import state_of
from edgewise.gateway.pages.steps import shown_replay, shown_sight, walk_json
from edgewise.gateway.pages.walking import foresee, replay
from edgewise.gateway.rollout import Rollout
from edgewise.records import Policy, Task, TierKind
from edgewise.route.looking import Sight

_MOST_TEXT = 20_000


def attach(gateway: Gateway, rollout: Rollout | None, *, keys: bool) -> "Site":
    """Add the pages to a gateway.

    Parameters
    ----------
    keys
        Whether callers need keys. Then the pages come empty, and what they show needs one.
    """
    return Site(gateway, rollout, keys=keys)


class Site:
    """Answers for the pages. Made by `attach`."""

    def __init__(self, gateway: Gateway, rollout: Rollout | None, *, keys: bool) -> None:
        self._gateway, self._rollout, self._keys = gateway, rollout, keys
        engine = gateway.engine
        self.history = History(lambda: engine.policy, self._e_value)
        gateway.decisions.watchers.append(self.history.see)
        gateway.shared["history"] = self.history
        if keys:
            empty = shell.dashboard({}, "Give a key to see the dashboard.", keys=True)
            told = _told(empty.encode(), shell.HTML)
            gateway.add("/", "GET", Route(name="page", told=told))
        else:
            gateway.add("/", "GET", Route(name="page", works=self._dashboard, looks=True))
        page = _told(shell.playground(keys=keys).encode(), shell.HTML)
        gateway.add("/playground", "GET", Route(name="page", told=page, looks=not keys))
        for name, kind in _ASSETS.items():
            route = Route(name="asset", told=_told(_asset(name), kind))
            gateway.add(f"/assets/{name}", "GET", route)
        gateway.add("/dashboard/state", "GET", Route(name="page", works=self._state, looks=True))
        gateway.add(
            "/dashboard/decision", "GET", Route(name="page", works=self._decision, looks=True)
        )
        gateway.add("/playground/decide", "POST", Route(name="playground", works=self._decide))

    def _e_value(self) -> float | None:
        audit = self._gateway.engine.audit
        return None if audit is None else audit.e_value

    async def _dashboard(self, request: Request, asked: Asked) -> Response:
        del request, asked
        state = await state_of(self._gateway, self.history, self._rollout)
        text = shell.dashboard(sections(state), news(state), keys=False)
        return _answer(text.encode(), shell.HTML)

    async def _state(self, request: Request, asked: Asked) -> Response:
        del request, asked
        state = await state_of(self._gateway, self.history, self._rollout)
        shown = {name: str(html) for name, html in sections(state).items()}
        return _json({"state": state, "sections": shown, "news": news(state)})

    async def _decision(self, request: Request, asked: Asked) -> Response:
        """Replay one of the last decisions."""
        del asked
        wanted = parse_qs(request.query).get("id", [""])[0]
        told = [one["decisions"] for one in await self._gateway.others()]
        latest = self._gateway.decisions.latest_with(told)
        found = next((one for one in latest if one.request_id == wanted), None)
        if found is None:
            hint = "take an id of the dashboard's last decisions"
            raise UsageError("no such decision among the last", where="id", hint=hint)
        engine = self._gateway.engine
        if found.policy_version != engine.policy_version:
            hint = "`edgewise replay` reads the log with the policy of that time"
            raise UsageError("another policy made it", where="id", hint=hint)
        walk = replay(engine.policy, found.facts, found.attempts)
        steps = walk_json(walk, found.facts)
        return _json({**steps, "logged": found.location, "html": str(shown_replay(found, walk))})

    async def _decide(self, request: Request, asked: Asked) -> Response:
        """Say what would be decided for a text."""
        body = read_object(request.body)
        text, private = body.get("text"), body.get("private", False)
        if not isinstance(text, str) or len(text) > _MOST_TEXT or not isinstance(private, bool):
            what = f"no `text` of at most {_MOST_TEXT} characters"
            raise InvalidData(what, where="body", hint='send {"text": "…", "private": false}')
        policy = self._gateway.engine.policy
        one: dict[str, Any] = {"text": text, policy.privacy.flag: private}
        if policy.task == Task.TEXT_GENERATION.value:
            one = {"messages": [{"role": "user", "content": text}], policy.privacy.flag: private}
        sight = await self._gateway.engine.outlook().look(one, caller=asked.caller)
        rtt_ms = _number(body, "rtt_ms", 600_000.0)
        sight = _changed(sight, rtt_ms, _number(body, "threshold", 1.0))
        walk = foresee(sight.policy, sight.facts, sight.states, sight.confidence, sight.system)
        html = str(shown_sight(sight, walk))
        return _json({**walk_json(walk, sight.facts), "html": html})


def _changed(sight: Sight, rtt_ms: float | None, threshold: float | None) -> Sight:
    """Give what would be seen with another network, or another threshold of the nearest tier."""
    policy, states = sight.policy, dict(sight.states)
    if rtt_ms is not None:
        for tier in policy.tiers:
            if tier.kind is not TierKind.DEVICE:
                before = states[tier.name]
                slower = before.rtt_p95_ms / before.rtt_p50_ms if before.rtt_p50_ms else 2.0
                states[tier.name] = replace(
                    before, rtt_p50_ms=rtt_ms, rtt_p95_ms=rtt_ms * max(slower, 1.0)
                )
    return replace(sight, policy=_with_threshold(policy, threshold), states=states)


def _with_threshold(policy: Policy, threshold: float | None) -> Policy:
    if threshold is None:
        return policy
    nearest = replace(policy.tiers[0], threshold=threshold)
    return replace(policy, tiers=(nearest, *policy.tiers[1:]))


def _number(body: dict[str, Any], name: str, most: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        what = f"`{name}` is no number from 0 to {most:g}"
        raise InvalidData(what, where="body", hint="leave it out for things as they are")
    return float(value)


def _told(body: bytes, kind: str) -> Callable[[], Response]:
    return lambda: _answer(body, kind)


def _answer(body: bytes, kind: str) -> Response:
    return Response(body=body, kind=kind, headers=list(shell.HEADERS))


def _json(told: dict[str, Any]) -> Response:
    return Response(body=to_json(told), headers=list(shell.HEADERS))


_ASSETS = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def _asset(name: str) -> bytes:
    own = (files(__package__) / name).read_bytes()
    if name != "pages.css":
        return own
    return (files("edgewise.report") / "style.css").read_bytes() + b"\n" + own
