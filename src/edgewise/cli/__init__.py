"""One file a verb, no logic: parse, call one composer, show, return the exit code.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a failure the user
can mend, 2 wrong usage, 3 the answer is "no", 130 interrupted. Read `app.py` first.
"""

from edgewise.cli.app import main

__all__ = ["main"]
