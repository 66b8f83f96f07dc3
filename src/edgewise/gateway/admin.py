"""The admin's interface, under its own token: policies and what is known of tiers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from edgewise.errors import (
    IntegrityError,
    InvalidData,
    InvalidModel,
    InvalidRecord,
    InvalidSpec,
    MissingExtra,
)
from edgewise.gateway.app import Gateway, Route
from edgewise.gateway.asking import Asked
from edgewise.gateway.bodies import read_object, to_json
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.rollout import Rollout
from edgewise.records import Policy, Spending, SpendingLimit, decode, encode
from edgewise.route import shown_policy

_CANT_BE = (IntegrityError, InvalidModel, InvalidRecord, InvalidSpec, MissingExtra)
"""What a policy may be that can't be put in service: the admin's to mend, and no fault here."""
_CHANGES = ("stage", "shadow", "canary", "promote", "rollback")
"""What carries a policy through its stages."""
Answers = Callable[[dict[str, Any]], Awaitable[Any]]


class Admin:
    """Answers `/admin`. Made by `serve` where the settings name a token."""

    def __init__(self, gateway: Gateway, rollout: Rollout, drain: Callable[[], None]) -> None:
        self._gateway, self._rollout, self._drain = gateway, rollout, drain
        # One change after the other: what comes while a policy is opened would be undone by it.
        changing = asyncio.Lock()
        routes: tuple[tuple[str, str, Answers], ...] = (
            ("GET", "state", self._state),
            ("GET", "policy", self._policy),
            ("GET", "diff", self._diff),
            ("GET", "decisions", self._decisions),
            ("GET", "budgets", self._budgets),
            ("POST", "stage", self._stage),
            ("POST", "shadow", self._shadow),
            ("POST", "canary", self._canary),
            ("POST", "promote", self._promote),
            ("POST", "rollback", self._roll_back),
            ("POST", "reload", self._reload),
            ("POST", "drain", self._stop),
        )
        for method, name, answers in routes:
            lock = changing if name in _CHANGES else None
            route = Route(name="admin", works=_answering(answers, lock), administers=True)
            gateway.add(f"/admin/{name}", method, route)

    async def _state(self, _: dict[str, Any]) -> Any:
        gateway, engine = self._gateway, self._gateway.engine
        return {
            **self._rollout.state(),
            "ready": gateway.is_ready(),
            "draining": gateway.draining,
            "in_flight": gateway.admission.in_flight,
            "refused": gateway.admission.refused,
            "circuits": {name: one.value for name, one in engine.circuits().items()},
        }

    async def _policy(self, _: dict[str, Any]) -> Any:
        engine = self._gateway.engine
        return {"policy_version": engine.policy_version, "policy": shown_policy(engine.policy)}

    async def _diff(self, _: dict[str, Any]) -> Any:
        return {"diff": self._rollout.diff()}

    async def _decisions(self, _: dict[str, Any]) -> Any:
        return {"decisions": [encode(one) for one in self._gateway.decisions.latest]}

    async def _budgets(self, _: dict[str, Any]) -> Any:
        """Tell what may be spent and what is, by all and by each caller that is named."""
        engine = self._gateway.engine
        rules, outlook = engine.policy.budget, engine.outlook()
        if rules is None:
            return {"total": None, "callers": {}}
        names = sorted({*rules.callers, *self._gateway.callers})

        def read() -> dict[str, Any]:
            limits = {name: rules.callers.get(name, rules.each_caller) for name in names}
            return {
                "total": _spending(rules.total, outlook.spent()),
                "callers": {
                    name: _spending(limit, outlook.spent(name)) for name, limit in limits.items()
                },
            }

        return await asyncio.to_thread(read)

    async def _stage(self, body: dict[str, Any]) -> Any:
        try:
            policy = decode(Policy, body)
        except InvalidRecord as wrong:
            what = f"not a policy: {wrong.where}: {wrong.what}"
            raise InvalidData(what, where="body", hint="send a policy.json") from wrong
        return self._rollout.stage(policy)

    async def _shadow(self, _: dict[str, Any]) -> Any:
        return self._rollout.watch()

    async def _canary(self, body: dict[str, Any]) -> Any:
        share = body.get("share")
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise InvalidData("no `share`", where="body", hint='send {"share": 0.05}')
        await self._rollout.try_on(float(share))
        return self._rollout.state()

    async def _promote(self, _: dict[str, Any]) -> Any:
        await self._rollout.promote()
        return self._rollout.state()

    async def _roll_back(self, _: dict[str, Any]) -> Any:
        await self._rollout.roll_back()
        return self._rollout.state()

    async def _reload(self, _: dict[str, Any]) -> Any:
        before, after = await self._gateway.reload()
        return {"before": before, "policy_version": after}

    async def _stop(self, _: dict[str, Any]) -> Any:
        self._drain()
        return {"draining": True}


def _spending(limit: SpendingLimit, spent: Spending | None) -> dict[str, Any]:
    return {**asdict(limit), **({} if spent is None else asdict(spent))}


def _answering(
    answers: Answers, lock: asyncio.Lock | None
) -> Callable[[Request, Asked], Awaitable[Response]]:
    one_by_one = nullcontext() if lock is None else lock

    async def works(request: Request, asked: Asked) -> Response:
        del asked
        body = read_object(request.body) if request.body else {}
        try:
            async with one_by_one:
                told = await answers(body)
        except _CANT_BE as wrong:
            what = f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what
            raise Refusal(400, what, hint=wrong.hint) from wrong
        return Response(body=to_json(told))

    return works
