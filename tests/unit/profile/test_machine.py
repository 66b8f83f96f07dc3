"""Machines described from what their kernels tell."""

import os
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgewise.profile import describe_target, doctor, find_runtimes
from edgewise.profile.machine import (
    cpu_elsewhere,
    find_extras,
    installed_version,
    memory_elsewhere,
    read_cpu,
    read_memory,
)
from edgewise.records import decode, encode

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni avx_vnni amx_int8 amx_tile

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
RASPBERRY = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes crc32 atomics asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0b

Revision\t: c04170
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""
OLD_ARM = """processor\t: 0
Features\t: half thumb neon vfpv4
CPU implementer\t: 0x41
CPU part\t: 0xc07

Hardware\t: BCM2835
"""
MEMINFO = """MemTotal:        8046484 kB
MemFree:          124000 kB
"""


def test_an_x86_processor_is_named_with_the_features_that_matter() -> None:
    name, features = read_cpu(XEON)

    assert name == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert features == ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def test_a_single_board_computer_is_named_by_core_and_board() -> None:
    name, features = read_cpu(RASPBERRY)

    assert name == "Cortex-A76, Raspberry Pi 5 Model B Rev 1.0"
    assert features == ("neon", "dotprod")


def test_an_unknown_arm_core_is_named_by_its_number_and_its_chip() -> None:
    name, features = read_cpu(OLD_ARM)

    assert name == "Arm part 0xc07, BCM2835"
    assert features == ("neon",)


def test_another_makers_core_is_not_taken_for_arms() -> None:
    name, _ = read_cpu("CPU implementer : 0x51\nCPU part : 0xd08\n")

    assert name == "Arm part 0xd08"


def test_no_text_tells_nothing() -> None:
    assert read_cpu("") == ("", ())
    assert read_memory("") == 0


def test_total_memory_is_read_in_bytes() -> None:
    assert read_memory(MEMINFO) == 8_046_484 * 1024


@given(st.text())
def test_the_parsers_take_any_text(text: str) -> None:
    name, features = read_cpu(text)

    assert isinstance(name, str)
    assert len(set(features)) == len(features)
    assert read_memory(text) >= 0


def fake_sysctl(folder: Path, body: str) -> str:
    script = folder / "sysctl"
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(0o755)
    return str(script)


def test_without_proc_the_name_comes_from_sysctl(tmp_path: Path) -> None:
    body = "import sys; assert sys.argv[1:] == ['-n', 'machdep.cpu.brand_string']; print('Chip 1')"

    assert cpu_elsewhere(fake_sysctl(tmp_path, body)) == "Chip 1"


def test_without_sysctl_or_with_another_one_the_name_is_still_something(tmp_path: Path) -> None:
    assert cpu_elsewhere(None)
    assert cpu_elsewhere(fake_sysctl(tmp_path, "raise SystemExit(1)")) == cpu_elsewhere(None)


def test_the_systems_memory_is_that_of_proc() -> None:
    meminfo = Path("/proc/meminfo").read_text()

    assert abs(memory_elsewhere() - read_memory(meminfo)) < 0.01 * read_memory(meminfo)


def test_a_target_says_threads_runtime_and_its_version() -> None:
    target = describe_target(3, "onnxruntime")

    assert (target.threads, target.runtime) == (3, "onnxruntime")
    assert target.runtime_version == installed_version("onnxruntime")
    assert target.cores == os.cpu_count()
    assert target.cpu
    assert target.memory_bytes > 0


def test_a_runtime_that_is_not_there_is_absent() -> None:
    assert describe_target(1, "no-such-runtime").runtime_version == "absent"


def test_each_runtime_is_found_in_a_version_or_has_the_command_to_get_it() -> None:
    found = {part.name: part for part in find_runtimes()}

    assert list(found) == ["onnxruntime", "openvino", "litert", "llama.cpp"]
    assert found["onnxruntime"].found
    for part in found.values():
        assert part.found == bool(part.version)
        assert part.found == (not part.missing)
    assert {name: part.command for name, part in found.items()} == {
        "onnxruntime": "pip install edgewise",
        "openvino": 'pip install "edgewise[openvino]"',
        "litert": 'pip install "edgewise[litert]"',
        "llama.cpp": "pip install xllamacpp",
    }


def test_extras_are_read_from_the_metadata_with_what_they_lack() -> None:
    requirements = [
        "numpy>=1.26",
        "onnx>=1.17; extra == 'optimize'",
        'scikit-learn>=1.5; extra == "optimize"',
        "pillow; extra == 'image'",
    ]
    installed = {"onnx": "1.2", "pillow": "11"}

    image, optimize = find_extras(requirements, version_of=installed.get)

    assert (image.name, image.found, image.missing) == ("image", True, ())
    assert (optimize.name, optimize.found) == ("optimize", False)
    assert optimize.missing == ("scikit-learn",)
    assert optimize.command == 'pip install "edgewise[optimize]"'


def test_the_doctor_tells_of_this_machine_in_json() -> None:
    report = doctor()

    assert decode(type(report), encode(report)) == report
    assert report.edgewise_version == installed_version("edgewise")
    assert report.python_version == ".".join(map(str, sys.version_info[:3]))
    assert report.disk_free_bytes > 0
    assert {"gateway", "image", "optimize"} <= {part.name for part in report.extras}
