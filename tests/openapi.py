"""The gateway's interface as OpenAPI, for a tool that makes up requests of a description."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}


def an_object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def a_list(items: Schema, most: int = 4) -> Schema:
    return {"type": "array", "items": items, "maxItems": most}


def header(name: str, **schema: Any) -> Schema:
    return {"name": f"x-edgewise-{name}", "in": "header", "schema": schema}


# Not `deadline-ms`: what is refused for a deadline has a status above 499, and rightly.
HEADERS = [
    header("force-location", enum=["edge", "cloud", "moon"]),
    header("privacy", enum=["true", "false", "perhaps"]),
    header("region", type="string"),
    header("allow-late", enum=["true", "false"]),
    header("once", enum=["true", "false"]),
    header("caller", type="string"),
]
ONE = an_object(("text",), text=TEXT, privacy_flag=FLAG, region=TEXT)
PREDICT: Schema = {"anyOf": [ONE, an_object(("inputs",), inputs=a_list(ONE))]}
PARAMETERS = {"type": "object", "additionalProperties": {"anyOf": [TEXT, FLAG, NUMBER]}}
TENSOR = an_object(
    ("name", "shape", "datatype", "data"),
    name={"enum": ["text", "image"]},
    shape=a_list({"type": "integer", "minimum": 0, "maximum": 8}),
    datatype={"enum": ["BYTES", "FP32", "UINT8", "INT64"]},
    data=a_list({"anyOf": [TEXT, NUMBER, a_list(TEXT)]}),
    parameters=PARAMETERS,
)
OUTPUT = an_object(
    ("name",), name={"enum": ["label", "probabilities", "loss"]}, parameters=PARAMETERS
)
INFER = an_object(
    ("inputs",),
    id=TEXT,
    parameters=PARAMETERS,
    inputs=a_list(TENSOR, 2),
    outputs=a_list(OUTPUT),
)
ANSWER = {"stream": FLAG, "n": {"enum": [1, 2]}, "logprobs": FLAG, "model": {"enum": ["default"]}}
PART = an_object(("type",), type={"enum": ["text", "image_url"]}, text=TEXT)
MESSAGE = an_object(
    ("role", "content"),
    role={"enum": ["user", "system", "assistant"]},
    content={"anyOf": [TEXT, a_list(PART)]},
)
CHAT = an_object(
    ("messages",),
    messages=a_list(MESSAGE),
    stream_options=an_object(include_usage=FLAG),
    **ANSWER,
)
COMPLETE = an_object(("prompt",), prompt={"anyOf": [TEXT, a_list(TEXT)]}, **ANSWER)
EMBED = an_object(
    ("input",),
    input={"anyOf": [TEXT, a_list(TEXT)]},
    encoding_format={"enum": ["float", "base64", "int8"]},
)
DECIDE = an_object(("text",), text=TEXT, private=FLAG, rtt_ms=NUMBER, threshold=NUMBER)
ASKED = {
    "/predict": PREDICT,
    "/v2/models/{model}/infer": INFER,
    "/v2/models/{model}/versions/{version}/infer": INFER,
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETE,
    "/v1/embeddings": EMBED,
    "/playground/decide": DECIDE,
    "/admin/stage": {"type": "object"},
    "/admin/shadow": {"type": "object"},
    "/admin/canary": an_object(("share",), share=NUMBER),
    "/admin/promote": {"type": "object"},
    "/admin/rollback": {"type": "object"},
    "/admin/reload": {"type": "object"},
}
LOOKED = (
    "/",
    "/playground",
    "/dashboard/state",
    "/healthz",
    "/readyz",
    "/metrics",
    "/late/{id}",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/repository/index",
    "/v2/models/stats",
    "/v2/models/{model}",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/config",
    "/v2/models/{model}/stats",
    "/v2/models/{model}/versions/{version}",
    "/v2/models/{model}/versions/{version}/ready",
    "/v2/models/{model}/versions/{version}/config",
    "/v2/models/{model}/versions/{version}/stats",
    "/v1/models",
    "/v1/models/{model}",
    "/admin/state",
    "/admin/policy",
    "/admin/diff",
    "/admin/decisions",
    "/admin/budgets",
)
IN_PATHS = {
    "model": {"anyOf": [{"enum": ["default"]}, {**TEXT, "minLength": 1}]},
    "version": {"anyOf": [{"enum": ["1"]}, {**TEXT, "minLength": 1}]},
    "id": {**TEXT, "minLength": 1},
}


def described() -> Schema:
    """Give the description."""
    paths: dict[str, Schema] = {path: {"get": _operation(path)} for path in LOOKED}
    for path, body in ASKED.items():
        asked = _operation(path)
        asked["parameters"] += HEADERS
        asked["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        paths[path] = {"post": asked}
    decision = _operation("/dashboard/decision")
    decision["parameters"].append({"name": "id", "in": "query", "schema": TEXT})
    paths["/dashboard/decision"] = {"get": decision}
    return {"openapi": "3.0.3", "info": {"title": "edgewise", "version": "1"}, "paths": paths}


def _operation(path: str) -> Schema:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in IN_PATHS.items()
        if f"{{{name}}}" in path
    ]
    return {"parameters": parameters, "responses": {"default": {"description": "an answer"}}}
