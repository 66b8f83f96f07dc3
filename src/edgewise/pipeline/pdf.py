"""A page becomes a PDF, printed by a Chromium that is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewise.errors import MissingExtra, StorageError

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "msedge", "brave-browser"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
"""Looked for in this order: names on the path, and where macOS has them."""
_LIMIT_S = 120.0

Find = Callable[[str], str | None]
"""Gives the path of a program; `None`: there is none."""


def print_pdf(
    page: str, out: Path, *, find: Find = shutil.which, limit_s: float = _LIMIT_S
) -> None:
    """Print a page that needs nothing from outside, and rename the file into place.

    The browser gets a profile of its own that goes with the call, beside `out`: browsers of some
    systems see no other folder.

    Parameters
    ----------
    find
        Looks for each of `BROWSERS`.
    limit_s
        After which the browser is stopped.

    Raises
    ------
    MissingExtra
        When no Chromium is installed.
    StorageError
        When it writes no file.
    """
    browser = next(_found(find), None)
    if browser is None:
        what = f"no Chromium is installed: looked for {', '.join(BROWSERS[:3])} and others"
        hint = "install chromium, or write --format html and print that from any browser"
        raise MissingExtra(what, where="--format pdf", hint=hint)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix="edgewise-print-", dir=out.parent, ignore_cleanup_errors=True
        ) as name:
            folder = Path(name).resolve()
            (folder / "page.html").write_text(page, encoding="utf-8")
            printed = folder / "page.pdf"
            said = _print(browser, folder, printed, limit_s)
            if not printed.is_file() or printed.stat().st_size == 0:
                raise StorageError(
                    f"{browser} printed nothing: {said}",
                    where=str(out),
                    hint="write --format html and print that from any browser",
                )
            printed.replace(out)
    except OSError as failure:
        what = f"can't write: {failure.strerror or failure}"
        raise StorageError(
            what, where=str(out), hint="free some space or pick another place"
        ) from failure


def _found(find: Find) -> Iterator[str]:
    return (path for name in BROWSERS if (path := find(name)) is not None)


def _print(browser: str, folder: Path, printed: Path, limit_s: float) -> str:
    """Run the browser to its end; give the last that it said."""
    command = [
        browser,
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-pdf-header-footer",
        f"--user-data-dir={folder / 'profile'}",
        f"--print-to-pdf={printed}",
        (folder / "page.html").as_uri(),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # Chromium's sandbox refuses root; own page
        command.insert(1, "--no-sandbox")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {limit_s:g} s"
    lines = done.stderr.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last[:200] or f"it ended with {done.returncode}"
