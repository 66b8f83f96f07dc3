"""The child of `compare`: keeps one bundle open and answers the inputs it is told to, timed.

`python -m edgewise.profile.runner REQUEST`, a request in JSON. Lines on stdin name inputs by their
place; each gets one line with their times. It ends with its stdin.
"""

import json
import sys
import time

from edgewise.profile.child import Request, Say, answer, open_asked, own_stdout, read_inputs

_WARM_UP = 10


def run(request: Request, say: Say) -> None:
    """Answer until nobody asks any more."""
    inputs = read_inputs(request)
    model = open_asked(request)
    for one in inputs[:_WARM_UP]:
        model.work([one])
    say({"ready": True})
    for line in sys.stdin:
        chosen = [inputs[i] for i in json.loads(line)["chosen"]]
        # The other models had the caches meanwhile: one answer that is not timed brings them back.
        model.work(chosen[:1])
        times_ms = []
        for one in chosen:
            begun_s = time.perf_counter()
            model.work([one])
            times_ms.append((time.perf_counter() - begun_s) * 1000)
        say({"times_ms": times_ms})
    model.close()


if __name__ == "__main__":
    raise SystemExit(answer(run, sys.argv[1], own_stdout()))
