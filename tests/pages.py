"""Pages read as a browser would, and a policy to show on them."""

from html.parser import HTMLParser

from edgewise.records import Policy, PrivacyRules, TierKind, TierPolicy

VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr")
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.6),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            usd_per_request=0.01,
            rtt_p50_ms=60.0,
            rtt_p95_ms=180.0,
            endpoint="http://me:hunter3@localhost:9/x?key=hunter4",
        ),
    ),
    privacy=PrivacyRules(detect=("email",)),
)


class Balance(HTMLParser):
    """Reads a page; every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Balance:
    found = Balance()
    found.feed(page)
    found.close()
    assert found.open == []
    return found
