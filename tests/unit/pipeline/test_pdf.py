"""A PDF needs a browser: what is said where there is none, or it does not print."""

from pathlib import Path

import pytest

from edgewise.errors import MissingExtra, StorageError
from edgewise.pipeline import print_pdf

PRINTS = """#!/bin/sh
for one; do case $one in
  --print-to-pdf=*) to=${one#--print-to-pdf=};;
  file://*) from=${one#file://};;
esac; done
{ printf '%%PDF-'; cat "$from"; } > "$to"
"""


def browser(folder: Path, text: str) -> str:
    path = folder / "browser"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_page_is_handed_to_the_first_browser_that_is_found(tmp_path: Path) -> None:
    out, program = tmp_path / "made" / "report.pdf", browser(tmp_path, PRINTS)
    asked = []

    def find(name: str) -> str | None:
        asked.append(name)
        return program if name == "google-chrome" else None

    print_pdf("<p>é</p>", out, find=find)

    assert asked == ["chromium", "chromium-browser", "google-chrome"]
    assert out.read_text("utf-8") == "%PDF-<p>é</p>"
    assert [one.name for one in out.parent.iterdir()] == ["report.pdf"]


def test_without_a_browser_it_is_said_what_to_install_or_to_do_instead(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra) as caught:
        print_pdf("", tmp_path / "report.pdf", find=lambda _: None)

    assert caught.value.what.startswith("no Chromium is installed: looked for chromium, ")
    assert caught.value.where == "--format pdf"
    assert "install chromium, or write --format html" in caught.value.hint


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho first >&2; echo it broke >&2\n", "it broke"),
        ("#!/bin/sh\nexit 7\n", "it ended with 7"),
    ],
)
def test_a_browser_that_prints_nothing_is_named_with_what_it_said(
    script: str, words: str, tmp_path: Path
) -> None:
    out, program = tmp_path / "report.pdf", browser(tmp_path, script)

    with pytest.raises(StorageError) as caught:
        print_pdf("", out, find=lambda _: program)

    assert caught.value.what == f"{program} printed nothing: {words}"
    assert caught.value.where == str(out)
    assert "--format html" in caught.value.hint
    assert not out.exists()


def test_a_browser_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    out, program = tmp_path / "report.pdf", browser(tmp_path, "#!/bin/sh\nexec sleep 60\n")

    with pytest.raises(StorageError) as caught:
        print_pdf("", out, find=lambda _: program, limit_s=0.2)

    assert "it did not end within 0.2 s" in caught.value.what


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    out, program = tmp_path / "file" / "report.pdf", browser(tmp_path, PRINTS)

    with pytest.raises(StorageError) as caught:
        print_pdf("", out, find=lambda _: program)

    assert caught.value.what.startswith("can't write: ")
    assert caught.value.where == str(out)
    assert "another place" in caught.value.hint
