"""Pieces of HTML; every text that is handed in is escaped, unless it is `Html` already."""

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is HTML. Made here alone."""

    __slots__ = ()


def safe(text: object) -> Html:
    """Escape a text."""
    return text if isinstance(text, Html) else Html(escape(str(text)))


def element(name: str, *inside: object, **attributes: str) -> Html:
    """Give an element; of attribute names, `_` at the end is dropped and within becomes `-`."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{told}>{''.join(safe(one) for one in inside)}</{name}>")


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """Give a table; the first cell of a row is its head. Columns of numbers stand to the right."""
    sides = [
        {} if place and all(_is_number(row[place]) for row in rows) else {"class_": "words"}
        for place in range(len(heads))
    ]
    named = [
        element("th", one, scope="col", **side) for one, side in zip(heads, sides, strict=True)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", one, **side) for one, side in zip(row[1:], sides[1:], strict=True)),
        )
        for row in rows
    ]
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *named)),
        element("tbody", *body),
    )
    # What scrolls sideways is reached by the keyboard.
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _is_number(inside: object) -> bool:
    text = str(inside)
    return (text == "–" or text[:1].isdigit()) and text.count(" ") <= 1


def tiles(pairs: Iterable[tuple[str, object]]) -> Html:
    """Give short facts, each with its name."""
    found = [
        element("div", element("dt", name), element("dd", _foldable(value)), class_="tile")
        for name, value in pairs
    ]
    return element("dl", *found, class_="tiles")


def _foldable(value: object) -> Html:
    """Let a name like `cloud_fallback` go on in the next line where a tile is narrow."""
    return value if isinstance(value, Html) else Html(safe(value).replace("_", "_<wbr>"))


def figure(caption: str, svg: str) -> Html:
    """Give a drawing that `report.chart` made, which escapes what it holds."""
    return element("figure", element("figcaption", caption), Html(svg))
