"""The plain JSON form: POST `/predict`, one input or many under `inputs`."""

from typing import Any

from edgewise.errors import InvalidData
from edgewise.gateway.asking import Asked, Asking, SomeStored, decided
from edgewise.gateway.bodies import from_json, read_object, to_json
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.refusing import Form, Refusal, refused
from edgewise.route import InferenceResult
from edgewise.route.storing import QUEUED


class Plain:
    """Answers `/predict`. Made by the gateway."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def predict(self, request: Request, asked: Asked) -> Response:
        """Answer one input, or many; where one of many failed, it says which were stored."""
        body = read_object(request.body)
        many = body.get("inputs")
        if many is None:
            result = await self._asking.one(body, asked)
            status = 202 if result.location == QUEUED else 200
            return Response(status=status, body=to_json(told(result)), headers=decided([result]))
        if not isinstance(many, list) or not all(isinstance(one, dict) for one in many):
            what, hint = "`inputs` is no list of objects", 'give [{"text": "…"}]'
            raise InvalidData(what, where="body", hint=hint)
        try:
            results = await self._asking.many(many, asked, (body,))
        except SomeStored as some:
            answer = refused(some.failure, Form.PLAIN)
            answer.body = to_json({**from_json(answer.body), "stored": some.request_ids})
            return answer
        answers = {"predictions": [told(one) for one in results]}
        return Response(body=to_json(answers), headers=decided(results))

    async def late(self, request: Request, asked: Asked) -> Response:
        """Give the answer of a request that was queued, once; 202 while it waits.

        Where there are keys, only to the caller whose request it was.
        """
        if request.method == "HEAD":
            # It would take the answer and show it to nobody.
            raise Refusal(405, "another method is needed", hint="GET it: it is given once")
        request_id = request.path.rpartition("/")[2]
        found = await self._asking.engine.late_answer(request_id, caller=asked.caller or None)
        if found is None:
            return Response(status=202, body=to_json({"request_id": request_id, "ready": False}))
        return Response(body=to_json(dict(found)))


def told(result: InferenceResult) -> dict[str, Any]:
    """Give what the engine's result says, as JSON holds it."""
    return {
        "prediction": result.prediction,
        "label": result.label,
        "confidence": result.confidence,
        "probabilities": result.probabilities,
        "location": result.location,
        "latency_ms": result.latency_ms,
        "cost": result.cost,
        "reasons": result.reasons,
        "warnings": result.warnings,
        "request_id": result.request_id,
        "policy_version": result.policy_version,
    }
