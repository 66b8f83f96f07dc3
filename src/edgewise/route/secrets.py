"""Secrets come from the environment or a file, here and nowhere else."""

import os
from pathlib import Path

from edgewise.errors import InvalidSpec
from edgewise.records import ApiKey


def read_secret(key: ApiKey) -> str:
    """Read an API key from where the spec or the policy says it is.

    Raises
    ------
    InvalidSpec
        When the variable is not set, or the file is empty or can't be read; the secret is never
        shown.
    """
    if key.env is not None:
        value = os.environ.get(key.env, "")
        if not value:
            raise InvalidSpec(
                "the variable is not set", where=f"${key.env}", hint="export it first"
            )
        return value
    path = Path(key.file or "")
    hint = "check the path and its permissions"
    try:
        found = path.read_text(encoding="utf-8").strip()
    except OSError as failure:
        what = f"the API key can't be read: {failure.strerror}"
        raise InvalidSpec(what, where=str(path), hint=hint) from failure
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes.
        raise InvalidSpec("the API key is not UTF-8", where=str(path), hint=hint) from None
    if not found:
        raise InvalidSpec("the API key file is empty", where=str(path), hint="write the key to it")
    return found
