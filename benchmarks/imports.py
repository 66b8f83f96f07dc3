"""What edgewise costs before it does anything: import time, `--help`, megabytes installed.

Claims: `import_edgewise_ms` at most 100 beyond the interpreter, `edgewise_help_ms` at most 250, in
`results/imports.json`; with `--install` (needs the package index) also, in `results/install.json`,
what `pip install .` without extras grows an empty environment by, at most 190:
`device_install_mb` with the byte code that pip writes by default, and
`device_install_no_bytecode_mb` with `--no-compile`, as an image for a device is built.

    .venv/bin/python -m benchmarks.imports [--install]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.results import ROOT, claim, write

RUNS = 15


def spawn_ms(*arguments: str) -> float:
    """Time a fresh interpreter from its spawn to its end."""
    started_s = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started_s) * 1000


def bench_imports() -> None:
    commands = {
        "bare": ("-c", "pass"),
        "import": ("-c", "import edgewise"),
        "help": ("-m", "edgewise", "--help"),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times_ms[name].append(spawn_ms(*command))
    bare, imported, helped = (round(statistics.median(times_ms[name]), 1) for name in commands)
    peers = {"bare_interpreter_ms": bare}
    import_ms = round(imported - bare, 1)
    write(
        "imports",
        [
            claim("import_edgewise_ms", import_ms, 100.0, runs=RUNS, peers=peers),
            claim("edgewise_help_ms", helped, 250.0, runs=RUNS, peers=peers),
        ],
    )


def size_bytes(folder: Path) -> int:
    """Add up the sizes of all files; a link counts as nothing."""
    found = (path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return sum(path.stat().st_size for path in found)


def install_mb(*options: str) -> tuple[float, dict[str, float]]:
    """Install into an empty environment; give what it grew by, and the six largest parts."""
    with tempfile.TemporaryDirectory(prefix="edgewise-install-") as name:
        folder = Path(name)
        venv.create(folder)  # without pip: running it would leave its own byte code there
        before = size_bytes(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
        quiet = ["--quiet", "--disable-pip-version-check", *options]
        subprocess.run([*pip, *quiet, str(ROOT)], check=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        parts = {one.name: size_bytes(one) / 1e6 for one in site.iterdir() if one.is_dir()}
        grown_mb = (size_bytes(folder) - before) / 1e6
    largest = sorted(parts, key=lambda part: -parts[part])[:6]
    return round(grown_mb, 1), {f"{part}_mb": round(parts[part], 1) for part in largest}


def bench_install() -> None:
    compiled_mb, parts = install_mb()
    plain_mb, plain_parts = install_mb("--no-compile")
    write(
        "install",
        [
            claim("device_install_mb", compiled_mb, 190.0, runs=1, peers=parts),
            claim("device_install_no_bytecode_mb", plain_mb, 190.0, runs=1, peers=plain_parts),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="also measure megabytes installed")
    chosen = parser.parse_args()
    bench_imports()
    if chosen.install:
        bench_install()


if __name__ == "__main__":
    main()
