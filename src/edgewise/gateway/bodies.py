"""Bodies read and written: the door to `msgspec`'s JSON."""

from typing import Any

import msgspec

from edgewise.errors import InvalidData

to_json = msgspec.json.Encoder().encode
from_json = msgspec.json.Decoder().decode


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InvalidData
        When the body is none.
    """
    try:
        value = from_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as wrong:
        what, hint = "the body is no JSON", "send application/json"
        raise InvalidData(what, where="body", hint=hint) from wrong
    if not isinstance(value, dict):
        raise InvalidData("the body is no object", where="body", hint='send {"text": "…"}')
    return value
