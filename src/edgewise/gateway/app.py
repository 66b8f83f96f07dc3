"""The application: each path to what answers it, over one engine.

A request passes the door (who asks), admission (can it be answered in time) and its route, and
leaves as an answer, whatever happens.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edgewise.errors import EdgewiseError, UsageError
from edgewise.gateway.admission import Admission
from edgewise.gateway.asking import NOTHING_ASKED, Asked, Asking, asked_of
from edgewise.gateway.bodies import to_json
from edgewise.gateway.counting import Decisions
from edgewise.gateway.describing import describe
from edgewise.gateway.doors import Doors
from edgewise.gateway.messages import Request, Response, head_of
from edgewise.gateway.oip import Oip
from edgewise.gateway.openai import Embeds, Labels, OpenAi
from edgewise.gateway.plain import Plain
from edgewise.gateway.refusing import Form, Refusal, refused
from edgewise.gateway.rollout import Rollout
from edgewise.gateway.settings import Settings
from edgewise.gateway.texts import Texts
from edgewise.gateway.together import Shared, Together
from edgewise.observe.metrics import OPEN_METRICS, TEXT
from edgewise.records import CertificateState, Policy, Task
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.route.facts import new_request_id

_LATE, _ADMIN = "/late/", "/admin/"
Told = Callable[[], Response]
Works = Callable[[Request, Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What answers one method of one path."""

    name: str
    """As metrics call it: a few words, whatever the path holds."""
    told: Told | None = None
    """Answers at once and asks nobody."""
    works: Works | None = None
    """Asks the engine: needs a key and a place."""
    form: Form = Form.PLAIN
    looks: bool = False
    """Needs a key where there are keys, but no place."""
    administers: bool = False


class Gateway:
    """Answers requests over one engine. Made and closed by `serve`.

    Parameters
    ----------
    name
        The model's name in paths; `default` is understood too.
    faults
        Awaited before each request that asks the engine, for demos.
    read_policy
        Gives the policy that `reload` puts in service.
    """

    def __init__(
        self,
        engine: HybridInferenceEngine,
        *,
        name: str,
        settings: Settings,
        decisions: Decisions,
        embeds: Embeds | None = None,
        faults: Callable[[], Awaitable[None]] | None = None,
        read_policy: Callable[[], Policy | Path] | None = None,
    ) -> None:
        self.engine = engine
        self.name = name
        self.callers = tuple(one.name for one in settings.callers)
        self.decisions = decisions
        self.events = decisions.events
        self.admission = Admission(settings.admission)
        self.draining = False
        self._clock = engine.clock
        self._counting = decisions.counting
        self._doors = Doors(settings, self._clock.now_s)
        self._faults = faults
        self._read_policy = read_policy
        self._tasks: set[asyncio.Task[None]] = set()
        asking = self._asking = Asking(engine, most=settings.limits.batch)
        self._oip = Oip(asking, name=name, is_ready=self.is_ready)
        generates = engine.policy.task == Task.TEXT_GENERATION.value
        self._openai = OpenAi(
            Texts(asking) if generates else Labels(asking),
            embeds,
            name=name,
            clock=self._clock,
            ids=new_request_id,
            most=settings.limits.batch,
        )
        self._plain = Plain(asking)
        self.together: Together | None = None
        self.shared: dict[str, Shared] = {
            "metrics": self._counting.metrics,
            "decisions": decisions,
            "admission": self.admission,
            "inferences": self._oip,
        }
        """What several processes on one port add up."""
        self._paths = self._table()
        self.add("/openapi.json", "GET", _described(name, settings))
        self._gauges()

    def is_ready(self) -> bool:
        """Say whether requests are welcome: some tier can be asked, and nobody stops."""
        if self.draining:
            return False
        return any(state is not CircuitState.OPEN for state in self.engine.circuits().values())

    def shed(self, request: Request) -> bytes | None:
        """Give the answer for a request that there is no place for, or `None`.

        Who only looks takes no place, and the admin is wanted most when there is none.
        """
        if self.admission.in_flight < self.admission.limit:
            return None
        if request.method != "POST" or request.path.startswith(_ADMIN):
            return None
        self.admission.refused += 1
        return _NO_PLACE[_form_of(request.path)]

    async def reload(self) -> tuple[str, str]:
        """Read the policy and its bundle again; gives the versions before and after.

        Raises
        ------
        EdgewiseError
            When there is no file, or what it says can't be: then nothing changes.
        """
        try:
            before = await self._swap()
        except EdgewiseError as failure:
            self.events.refused("reload_refused", "the policy stays as it is", failure)
            raise
        after = self.engine.policy_version
        words = f"policy {before[:16]} became {after[:16]}"
        self.events.say("reload", words, before=before, policy_version=after)
        return before, after

    async def _swap(self) -> str:
        if self._read_policy is None:
            hint = "serve a run or a policy"
            raise UsageError("a bundle is served without a policy", where="reload", hint=hint)
        return await self.engine.swap_policy(await asyncio.to_thread(self._read_policy))

    def roll_out(self, rollout: Rollout) -> None:
        """Let a rollout choose who answers a request, and see each decision."""
        self._asking.rollout = rollout
        self.decisions.watchers.append(rollout.see)

    async def aclose(self) -> None:
        """End what is under way beside the requests, such as a reload; then the canary.

        The engine is its maker's to close.
        """
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._asking.rollout is not None:
            await self._asking.rollout.aclose()

    async def others(self) -> list[dict[str, Any]]:
        """Give what the other processes on the port tell, by the names in `shared`."""
        return [] if self.together is None else await self.together.others()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to work beside the requests until it has ended."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def add(self, path: str, method: str, route: Route) -> None:
        """Add a route; what is beside the core joins so."""
        self._paths.setdefault(path, {})[method] = route

    def routes(self) -> Mapping[str, Mapping[str, Route]]:
        """Give the table: of each path, what answers which method."""
        return self._paths

    def route_of(self, path: str) -> str:
        """Give a path as the table of paths has it; empty where it leads nowhere."""
        for one in (path, unquote(path)):
            if one in self._paths:
                return one
        return f"{_LATE}{{id}}" if path.startswith(_LATE) else ""

    async def handle(self, request: Request) -> Response:
        """Answer a request."""
        start_s = self._clock.now_s()
        methods = self._paths.get(request.path) or self._paths.get(unquote(request.path))
        if methods is None and request.path.startswith(_LATE):
            methods = self._paths[_LATE]
        if methods is None:
            return self._nowhere(request, start_s)
        route = methods.get(request.method)
        if route is None and request.method == "HEAD":
            route = methods.get("GET")
        if route is None:
            form = next(iter(methods.values())).form
            response = refused(Refusal(405, "another method is needed"), form)
            response.headers.append(("allow", ", ".join(sorted(methods))))
            return self._counted("unknown", response, start_s)
        try:
            response = await self._routed(route, request)
        except (Refusal, EdgewiseError) as failure:
            response = refused(failure, route.form)
        except Exception as failure:  # noqa: BLE001 - the outermost border: events tell of it
            self.events.broke(failure)
            response = refused(failure, route.form)
        return self._counted(route.name, response, start_s)

    async def _routed(self, route: Route, request: Request) -> Response:
        if route.works is None:
            if route.looks:
                self._doors.look(request)
            assert route.told is not None
            return route.told()
        if route.administers:
            self._doors.administer(request)
            return await route.works(request, NOTHING_ASKED)
        if route.looks:
            return await route.works(request, Asked(caller=self._doors.look(request)))
        caller = self._doors.enter(request)
        if not self.admission.enter():
            raise Refusal(503, "too much is under way", retry_after_s=1)
        try:
            if self._faults is not None:
                await self._faults()
            response = await route.works(request, asked_of(request, caller))
        except BaseException:
            self.admission.leave()
            raise
        if response.parts is None:
            self.admission.leave()
        else:  # a stream keeps its place until it ends
            response.parts = _Placed(response.parts, self.admission)
        return response

    def _counted(self, route: str, response: Response, start_s: float) -> Response:
        headers = response.headers
        told = headers and headers[0][0] == "x-edgewise-request-id"
        request_id = headers[0][1] if told else ""
        self._counting.answered(route, response.status, self._clock.now_s() - start_s, request_id)
        return response

    def _nowhere(self, request: Request, start_s: float) -> Response:
        what = "no such path"
        if request.path.startswith("/v2/models/"):
            what = "no such model, or no such version of it"
        if request.path.startswith("/v1/models/"):
            what = "no such model"
        answer = refused(Refusal(404, what), _form_of(request.path))
        return self._counted("unknown", answer, start_s)

    def _table(self) -> dict[str, dict[str, Route]]:
        oip, openai = self._oip, self._openai
        alive = Route(name="health", told=_alive)
        ready = Route(name="ready", told=self._ready)
        index = Route(name="index", told=oip.index, looks=True)
        stats = Route(name="stats", works=self._stats, looks=True)
        table: dict[str, dict[str, Route]] = {
            "/healthz": {"GET": alive},
            "/readyz": {"GET": ready},
            "/v2/health/live": {"GET": alive},
            "/v2/health/ready": {"GET": ready},
            "/v2": {"GET": Route(name="server", told=oip.server)},
            "/v2/": {"GET": Route(name="server", told=oip.server)},
            "/v2/repository/index": {"GET": index, "POST": index},
            "/v2/models/stats": {"GET": stats},
            "/predict": {"POST": Route(name="predict", works=self._plain.predict)},
            _LATE: {"GET": Route(name="late", works=self._plain.late, looks=True)},
            "/metrics": {"GET": Route(name="metrics", works=self._metrics, looks=True)},
        }
        for name in (self.name, "default"):
            for at in (f"/v2/models/{name}", f"/v2/models/{name}/versions/1"):
                table[at] = {"GET": Route(name="model", told=oip.metadata, looks=True)}
                table[f"{at}/ready"] = {"GET": Route(name="model_ready", told=oip.ready)}
                table[f"{at}/infer"] = {"POST": Route(name="infer", works=oip.infer)}
                table[f"{at}/config"] = {"GET": Route(name="config", told=oip.config, looks=True)}
                table[f"{at}/stats"] = {"GET": stats}
            one = Route(
                name="models", told=lambda: openai.model("default"), looks=True, form=Form.OPENAI
            )
            table[f"/v1/models/{name}"] = {"GET": one}
        for at, works in (
            ("chat/completions", openai.chat),
            ("completions", openai.complete),
            ("embeddings", openai.embed),
        ):
            route = Route(name=at.replace("/", "_"), works=works, form=Form.OPENAI)
            table[f"/v1/{at}"] = {"POST": route}
        table["/v1/models"] = {
            "GET": Route(name="models", told=openai.models, looks=True, form=Form.OPENAI)
        }
        return table

    def _ready(self) -> Response:
        is_ready = self.is_ready()
        told = {"live": True, "ready": is_ready}
        return Response(status=200 if is_ready else 503, body=to_json(told))

    async def _stats(self, request: Request, asked: Asked) -> Response:
        del request, asked
        return self._oip.stats(one["inferences"] for one in await self.others())

    async def _metrics(self, request: Request, asked: Asked) -> Response:
        del asked
        open_metrics = "application/openmetrics-text" in request.headers.get("accept", "")
        whole, others = self._counting.metrics, await self.others()
        if others:
            whole = whole.whole(one["metrics"] for one in others)
        text = await asyncio.to_thread(whole.text, open_metrics=open_metrics)
        return Response(body=text.encode(), kind=OPEN_METRICS if open_metrics else TEXT)

    def _gauges(self) -> None:
        gauge, admission = self._counting.gauge, self.admission
        gauge("edgewise_in_flight", "Requests under way", lambda: admission.in_flight)
        gauge("edgewise_in_flight_limit", "Requests let in at once", lambda: admission.limit)
        gauge(
            "edgewise_shed_requests",
            "Requests refused for want of a place",
            lambda: admission.refused,
        )
        gauge(
            "edgewise_ready",
            "Whether requests are welcome",
            lambda: float(self.is_ready()),
            of_all=min,
        )
        gauge(
            "edgewise_open_circuits",
            "Tiers that are left alone",
            lambda: sum(one is CircuitState.OPEN for one in self.engine.circuits().values()),
            of_all=max,
        )
        gauge(
            "edgewise_certificate_void",
            "1 while the certificate of the policy in service is void",
            lambda: float(_is_void(self.engine)),
            of_all=max,
        )
        gauge(
            "edgewise_certificate_evidence",
            "E-value of the audit's test by answers; 1 where nothing is audited",
            lambda: 1.0 if self.engine.audit is None else self.engine.audit.e_value,
            of_all=max,
        )
        gauge(
            "edgewise_audit_spent_usd",
            "Money that the audit of the certificate spent, beside that of calls for requests",
            lambda: 0.0 if self.engine.audit is None else self.engine.audit.spent_usd,
        )


def _is_void(engine: HybridInferenceEngine) -> bool:
    certificate, audit = engine.policy.certificate, engine.audit
    made_void = certificate is not None and certificate.state is CertificateState.VOID
    return made_void or (audit is not None and audit.void)


def _alive() -> Response:
    return Response(body=b'{"live":true,"ready":true}')


def _described(name: str, settings: Settings) -> Route:
    """Give what tells of the interface: it holds no secret, and tools ask for it without a key."""
    keys, admin = bool(settings.callers), settings.admin is not None

    def told() -> Response:
        return Response(body=to_json(describe(name, keys=keys, admin=admin)))

    return Route(name="openapi", told=told, looks=not keys)


class _Placed:
    """A stream that keeps its request's place until it ends, begun or not."""

    def __init__(self, parts: AsyncIterator[bytes], admission: Admission) -> None:
        self._parts = parts
        self._admission: Admission | None = admission

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._parts.__anext__()

    async def aclose(self) -> None:
        """End the stream; a second call does nothing."""
        admission, self._admission = self._admission, None
        if admission is None:
            return
        admission.leave()
        closing = getattr(self._parts, "aclose", None)
        if closing is not None:
            await closing()


def _form_of(path: str) -> Form:
    return Form.OPENAI if path.startswith("/v1/") else Form.PLAIN


def _no_place(form: Form) -> bytes:
    what, hint = "too much is under way", "try again in a second"
    answer = refused(Refusal(503, what, hint=hint, retry_after_s=1), form)
    return head_of(answer, "", close=False) + answer.body


_NO_PLACE = {form: _no_place(form) for form in Form}
