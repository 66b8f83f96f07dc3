"""What this machine is and what it can run."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from edgewise.records import Target
from edgewise.runtimes import RUNTIMES

_FEATURES = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_int8": "amx_int8",
    "neon": "neon",
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "sve": "sve",
}
"""What matters to inference: the kernel's word for it, and ours."""

_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""Part numbers of implementer 0x41, from the main ID registers in Arm's reference manuals."""

_PACKAGES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "litert": ("ai-edge-litert",),
    "llama.cpp": ("xllamacpp", "llama-cpp-python"),
}
"""Packages that bring a runtime; the first is the one to install."""

_SERVERS = {"llama.cpp": "llama-server"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*;\s*extra\s*==\s*['\"]([^'\"]+)['\"]\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A runtime or an extra: found in a version, or the command to get it."""

    name: str
    found: bool
    version: str
    command: str
    missing: tuple[str, ...] = ()
    """The packages that are absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReport:
    """What `edgewise doctor` says. A size of 0 could not be told."""

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
        cpu=cpu or cpu_elsewhere(shutil.which("sysctl")),
        cpu_features=features,
        cores=os.cpu_count() or 1,
        memory_bytes=read_memory(_read(Path("/proc/meminfo"))) or memory_elsewhere(),
        threads=threads,
        runtime=runtime,
        runtime_version=_first_version(_PACKAGES.get(runtime, (runtime,))) or "absent",
    )


def doctor() -> MachineReport:
    """Look at the machine, its runtimes and the extras installed."""
    target = describe_target(1, "onnxruntime")
    return MachineReport(
        edgewise_version=installed_version("edgewise") or "not installed",
        python_version=platform.python_version(),
        cpu=target.cpu,
        cpu_features=target.cpu_features,
        cores=target.cores,
        memory_bytes=target.memory_bytes,
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        runtimes=find_runtimes(),
        extras=find_extras(_requirements("edgewise")),
    )


def find_runtimes() -> tuple[Part, ...]:
    """Look for each runtime that edgewise can use, in the order of preference."""
    extras = {runtime.name: runtime.extra for runtime in RUNTIMES}
    parts = []
    for name, packages in _PACKAGES.items():
        found = _first_version(packages)
        if found is None and name in _SERVERS:
            found = shutil.which(_SERVERS[name])
        package = packages[0]
        if name in extras:
            package = f'"edgewise[{extras[name]}]"' if extras[name] else "edgewise"
        parts.append(
            Part(
                name=name,
                found=found is not None,
                version=found or "",
                command=f"pip install {package}",
                missing=() if found else packages[:1],
            )
        )
    return tuple(parts)


def installed_version(package: str) -> str | None:
    """Give the version of an installed package; `None` where it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def find_extras(
    requirements: Iterable[str], *, version_of: Callable[[str], str | None] = installed_version
) -> tuple[Part, ...]:
    """Read which extras a package declares, and say which of their packages are absent.

    Parameters
    ----------
    requirements
        Lines of the package's metadata, such as `onnx>=1.17; extra == 'optimize'`.
    """
    by_extra: dict[str, list[str]] = {}
    for line in requirements:
        if match := _REQUIREMENT.fullmatch(line):
            by_extra.setdefault(match[2], []).append(match[1])
    parts = []
    for name, packages in sorted(by_extra.items()):
        missing = tuple(package for package in packages if version_of(package) is None)
        parts.append(
            Part(
                name=name,
                found=not missing,
                version="" if missing else "installed",
                command=f'pip install "edgewise[{name}]"',
                missing=missing,
            )
        )
    return tuple(parts)


def read_cpu(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """Read the model's name and the features that matter from `/proc/cpuinfo`.

    The name is empty where the text does not tell it.
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    features = [ours for theirs, ours in _FEATURES.items() if theirs in flags]
    name = fields.get("model name") or _arm_name(fields)
    return name, tuple(dict.fromkeys(features))


def read_memory(meminfo: str) -> int:
    """Read the total memory in bytes from `/proc/meminfo`; 0 where it can't be told."""
    match = re.search(r"^MemTotal:\s*(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def cpu_elsewhere(sysctl: str | None) -> str:
    """Name the CPU where `/proc` does not: by `sysctl` on macOS, by `platform` on others.

    Parameters
    ----------
    sysctl
        The program's path; `None` where there is none.
    """
    if sysctl is not None:
        command = [sysctl, "-n", "machdep.cpu.brand_string"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def memory_elsewhere() -> int:
    """Ask the system for its memory in bytes; 0 where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _arm_name(fields: dict[str, str]) -> str:
    """Arm kernels tell a part number, and at the end the board or the chip."""
    part = fields.get("cpu part", "")
    core = _ARM_PARTS.get(part) if fields.get("cpu implementer") == "0x41" else None
    board = fields.get("model", "")
    board = fields.get("hardware", "") if not board or board.isdigit() else board
    return ", ".join(filter(None, (core or (part and f"Arm part {part}"), board)))


def _first_version(packages: Sequence[str]) -> str | None:
    return next(filter(None, map(installed_version, packages)), None)


def _requirements(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
