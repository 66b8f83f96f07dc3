"""One `Runtime` protocol, a file a runtime or remote protocol, and bundles opened for use.

A bundle directory goes in, a `LocalModel` comes out; an endpoint goes in, a `RemoteModel` comes
out. Nothing heavy is imported before a model is opened. Read `protocol.py` and `bundle.py` first.
"""

from edgewise.runtimes.answers import read_json
from edgewise.runtimes.bundle import (
    RUNTIMES,
    LocalModel,
    bundle_sha256,
    find_runtime,
    hash_file,
    image_input_of,
    open_bundle,
    open_classifier,
    open_onnx,
    open_task_of,
    read_manifest,
    write_manifest,
)
from edgewise.runtimes.chat_wire import ChatWire, as_chunk
from edgewise.runtimes.fit import RuntimeFit, find_fits
from edgewise.runtimes.http import RemoteModel
from edgewise.runtimes.lane import Exchanged, Lane, LaneBroken
from edgewise.runtimes.llama_server import LlamaServer
from edgewise.runtimes.protocol import Runtime, Session
from edgewise.runtimes.wire import WIRES, Wire

__all__ = [
    "RUNTIMES",
    "WIRES",
    "ChatWire",
    "Exchanged",
    "Lane",
    "LaneBroken",
    "LlamaServer",
    "LocalModel",
    "RemoteModel",
    "Runtime",
    "RuntimeFit",
    "Session",
    "Wire",
    "as_chunk",
    "bundle_sha256",
    "find_fits",
    "find_runtime",
    "hash_file",
    "image_input_of",
    "open_bundle",
    "open_classifier",
    "open_onnx",
    "open_task_of",
    "read_json",
    "read_manifest",
    "write_manifest",
]
