"""A llama.cpp server in a process of its own: the door to `xllamacpp`.

Run by `LlamaServer`. Prints its URL when the model is loaded, and ends when its standard input is
closed: so it never outlives who started it.
"""

import argparse
import sys

from edgewise import extras


def main() -> None:
    """Serve one model until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    asked = parser.parse_args()
    with extras.needed("llm"):
        import xllamacpp  # noqa: PLC0415 - optional
    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.hostnames = ["127.0.0.1"]
    params.port = asked.port
    params.n_ctx = asked.context_tokens
    params.n_parallel = asked.parallel
    params.cpuparams.n_threads = asked.threads
    params.cpuparams_batch.n_threads = asked.threads
    server = xllamacpp.Server(params)
    sys.stdout.write(f"ready: {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
