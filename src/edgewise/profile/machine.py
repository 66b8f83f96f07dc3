"""What this machine is and what it can run."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgewise.records import Target

_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
)
_RUNTIMES = (
    ("onnxruntime", "onnxruntime", "pip install edgewise"),
    ("openvino", "openvino", "pip install openvino"),
    ("litert", "ai-edge-litert", "pip install ai-edge-litert"),
    ("llama.cpp", "xllamacpp", "pip install xllamacpp"),
)
_EXTRAS = (
    ("optimize", ("onnx", "scikit-learn", "safetensors", "pydantic", "jinja2")),
    ("gateway", ("starlette", "uvicorn")),
    ("image", ("pillow",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A runtime or an extra: found in a version, or the command to get it."""

    name: str
    found: bool
    version: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReport:
    """What `edgewise doctor` says."""

    edgewise_version: str
    python_version: str
    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_bytes: int
    disk_free_bytes: int
    runtimes: tuple[Part, ...]
    extras: tuple[Part, ...]


def describe_target(threads: int, runtime: str) -> Target:
    """Describe this machine as a target."""
    cpu, features = read_cpu(_read(Path("/proc/cpuinfo")))
    return Target(
        cpu=cpu,
        cpu_features=features,
        cores=os.cpu_count() or 1,
        memory_bytes=read_memory(_read(Path("/proc/meminfo"))),
        threads=threads,
        runtime=runtime,
        runtime_version=_version(runtime) or "absent",
    )


def doctor() -> MachineReport:
    """Look at the machine, its runtimes and the extras installed."""
    target = describe_target(1, "onnxruntime")
    runtimes = []
    for name, package, command in _RUNTIMES:
        found = _version(package)
        runtimes.append(
            Part(name=name, found=found is not None, version=found or "", command=command)
        )
    extras = []
    for name, packages in _EXTRAS:
        missing = [package for package in packages if _version(package) is None]
        command = f'pip install "edgewise[{name}]"' if missing else ""
        extras.append(Part(name=name, found=not missing, version="installed", command=command))
    return MachineReport(
        edgewise_version=version("edgewise"),
        python_version=platform.python_version(),
        cpu=target.cpu,
        cpu_features=target.cpu_features,
        cores=target.cores,
        memory_bytes=target.memory_bytes,
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        runtimes=tuple(runtimes),
        extras=tuple(extras),
    )


def read_cpu(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """Read the model's name and the features that matter from `/proc/cpuinfo`."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    there = set((fields.get("flags") or fields.get("features") or "").split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, tuple(feature for feature in _FEATURES if feature in there)


def read_memory(meminfo: str) -> int:
    """Read the total memory in bytes from `/proc/meminfo`; 0 where it can't be told."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
