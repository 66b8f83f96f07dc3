"""`python -m benchmarks` runs every benchmark in turn, each in a process of its own."""

import subprocess
import sys

NAMES = ("imports", "optimize", "plan", "route", "gateway")

if __name__ == "__main__":
    codes = [subprocess.call([sys.executable, "-m", f"benchmarks.{name}"]) for name in NAMES]
    raise SystemExit(max(codes))
