"""The pages in a real browser, over a gateway in a process of its own with live traffic.

Set EDGEWISE_SCREENSHOTS to a folder to have the pictures of the docs made anew.
"""

import base64
import hashlib
import os  # the folder for pictures is the caller's to name
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import serving
from chromium import BROKEN, CONTRAST, LETTERS, OVERLAPS, chromium, complaints, look

from edgewise.observe.drift import histogram_of, histogram_of_languages
from edgewise.records import (
    AuditRules,
    DriftRules,
    Policy,
    PrivacyRules,
    Protocol,
    TierKind,
    TierPolicy,
    encode,
    seal,
    write_json,
)
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.route import CERTIFIED

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEADLINE_S = 40
TOKEN = "root"
TEXTS = ("good good good", "bad bad bad", "good bad", "good, of me@example.org", "so so")


def policy_of(labels: tuple[str, ...], bundle_sha256: str, far: str) -> Policy:
    """Give a policy that has all that the dashboard can show: two tiers, promised and watched."""
    tiers = (
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            endpoint=far,
            protocol=Protocol.JSON,
            usd_per_request=0.002,
            rtt_p50_ms=40.0,
            rtt_p95_ms=90.0,
        ),
    )
    certificate = replace(CERTIFIED, bundle_sha256=bundle_sha256)
    # Inputs are shorter than they were, and in the same language.
    lengths = histogram_of("length", [float(10 + number % 30) for number in range(300)])
    reference = (lengths, histogram_of_languages(TEXTS * 60))
    return Policy(
        task="text-classification",
        labels=labels,
        tiers=tiers,
        privacy=PrivacyRules(detect=("email",)),
        bundle_sha256=bundle_sha256,
        certificate=seal(certificate),
        audit=AuditRules(share=1.0),
        drift=DriftRules(reference=reference, window=40),
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve such a policy, with a stricter one in the shadow; a gateway stands in for the cloud."""
    folder = tmp_path_factory.mktemp("browser")
    cloud, far = serving.start(tiny_text_bundle(folder / "far"))
    opened = open_bundle(tiny_text_bundle(folder / "run" / "bundle"))
    policy = policy_of(opened.labels, opened.sha256, far)
    opened.close()
    write_json(folder / "run" / "policy.json", policy)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    (folder / "gateway.yaml").write_text(f"admin: {{token_sha256: {digest}}}\n")
    near, at = serving.start(folder / "run", "--config", str(folder / "gateway.yaml"))
    try:
        stricter = replace(policy.tiers[0], threshold=0.99)
        stage(at, replace(policy, tiers=(stricter, policy.tiers[1])))
        traffic(at)
        yield at
    finally:
        assert serving.stop(near) == 0
        assert serving.stop(cloud) == 0


def stage(at: str, policy: Policy) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=at, headers=headers) as client:
        client.post("/admin/stage", json=encode(policy)).raise_for_status()
        client.post("/admin/shadow").raise_for_status()


def traffic(at: str) -> None:
    with httpx2.Client(base_url=at) as client:
        for turn in range(60):
            assert client.post("/predict", json={"text": TEXTS[turn % 5]}).status_code == 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


def until(browser: Any, script: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415

    return WebDriverWait(browser, DEADLINE_S).until(lambda one: one.execute_script(script))


def traffic_until_curve(url: str, browser: Any) -> None:
    """Ask until there are two moments to draw a line between."""
    with httpx2.Client(base_url=url) as client:
        while client.post("/predict", json={"text": "good"}).status_code == 200:
            if browser.execute_script(
                "return !!document.querySelector('#traffic polyline') "
                "&& !!document.querySelector('#certificate polyline')"
            ):
                return


def keep(browser: Any, name: str, *, sections: tuple[str, str] | None = None) -> None:
    """Write a picture where pictures are wanted: of what is seen, or from one section to another.

    Parameters
    ----------
    sections
        The ids of the first and the last; with a page's first its head is in the picture too.
    """
    wanted = os.environ.get("EDGEWISE_SCREENSHOTS")
    if not wanted:
        return
    browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    asked: dict[str, Any] = {"format": "png"}
    if sections is not None:
        clip = browser.execute_script(
            "const [first, last] = [...arguments].map("
            "(id) => document.getElementById(id).closest('section').getBoundingClientRect());"
            "const top = ['overview', 'ask'].includes(arguments[0]) ? 0 : first.top + scrollY;"
            "return {x: 0, y: top, width: document.documentElement.clientWidth,"
            " height: last.bottom + scrollY + 16 - top, scale: 1};",
            *sections,
        )
        asked |= {"captureBeyondViewport": True, "clip": clip}
    drawn = browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
    (Path(wanted) / name).write_bytes(base64.b64decode(drawn))


@pytest.mark.parametrize("dark", [False, True])
def test_the_dashboard_shows_traffic_and_goes_on_by_itself(
    url: str, browser: Any, dark: bool
) -> None:
    look(browser, url, dark=dark)
    script = "return document.querySelector('#overview dd').textContent"
    before = browser.execute_script(script)
    traffic(url)

    until(browser, f"return document.querySelector('#overview dd').textContent !== '{before}'")

    assert "cloud_fallback" in browser.execute_script(
        "return document.querySelector('#traffic').textContent"
    )
    traffic_until_curve(url, browser)
    assert browser.execute_script(CONTRAST) == []
    assert min(browser.execute_script(LETTERS)) >= 11
    assert browser.execute_script(OVERLAPS) == []
    scheme = "dark" if dark else "light"
    keep(browser, f"dashboard-{scheme}.png", sections=("overview", "rollout"))
    assert complaints(browser) == []


def test_the_dashboard_shows_what_is_promised_watched_and_staged(url: str, browser: Any) -> None:
    look(browser, url)
    traffic_until_curve(url, browser)

    def said(section: str) -> str:
        script = "return document.getElementById(arguments[0]).textContent"
        return str(browser.execute_script(script, section))

    assert browser.execute_script(BROKEN) == []
    assert "certified" in said("certificate")
    assert "Evidence against the certificate (e-value)" in said("certificate")
    assert "length of the inputdiffers" in said("drift")
    assert "languageas before" in said("drift")
    assert "edgecloud_fallback" in said("rollout")
    assert said("news") == "Requests are welcome. Inputs differ: length of the input."


@pytest.mark.parametrize("path", ["/", "/playground"])
def test_a_phones_width_is_enough(url: str, browser: Any, path: str) -> None:
    look(browser, url + path, width=360)
    if path == "/":
        traffic_until_curve(url, browser)
        assert min(browser.execute_script(LETTERS)) >= 11
        assert browser.execute_script(OVERLAPS) == []
    else:
        browser.execute_script("document.querySelector('#ask button').click()")
        until(browser, "return !!document.querySelector('#seen table')")

    wide = browser.execute_script("return document.documentElement.scrollWidth")
    small = browser.execute_script(
        "return [...document.querySelectorAll('button')]"
        ".filter((one) => one.getBoundingClientRect().height < 24).length"
    )

    assert wide <= 360
    assert small == 0
    assert browser.execute_script(BROKEN) == []
    if path == "/":
        keep(browser, "dashboard-phone.png", sections=("certificate", "rollout"))
    else:
        keep(browser, "playground-phone.png", sections=("ask", "seen"))


def test_a_decision_is_replayed_by_the_keyboard_alone(url: str, browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415

    look(browser, url)
    chains: Any = ActionChains

    def press(key: str) -> None:
        chains(browser).send_keys(key).perform()

    press(Keys.TAB)
    assert browser.execute_script("return document.activeElement.className") == "skip"
    press(Keys.ENTER)
    for _ in range(60):
        press(Keys.TAB)
        if browser.execute_script("return document.activeElement.dataset.decision || ''"):
            break
    press(Keys.ENTER)

    told = until(
        browser,
        "return document.activeElement.id === 'replay-section' "
        "&& document.querySelector('#replay').textContent",
    )

    assert "Step by step" in told
    assert "comes out the same" in told
    keep(browser, "dashboard-replay.png")


def test_the_playground_follows_its_sliders(url: str, browser: Any) -> None:
    look(browser, url + "/playground")
    place = (
        "const found = [...document.querySelectorAll('#seen dt')]"
        ".find((one) => one.textContent === 'Answered by');"
        "return found ? found.nextSibling.textContent : ''"
    )
    slide = (
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    seen = "document.querySelector('#seen').textContent"

    browser.execute_script(slide, "threshold", "0")
    until(browser, f"return (() => {{{place}}})() === 'edge'")
    confident = browser.execute_script(f"return {seen}")
    browser.execute_script(slide, "threshold", "0.9")
    until(browser, f"return (() => {{{place}}})() === 'cloud_fallback'")
    browser.execute_script(slide, "rtt", "321")
    until(browser, f"return {seen}.includes('321 ms')")

    assert "the answer's confidence reaches" in confident
    assert "the answer's confidence is below" in browser.execute_script(f"return {seen}")
    assert browser.execute_script(CONTRAST) == []
    assert browser.execute_script(BROKEN) == []
    keep(browser, "playground-light.png", sections=("ask", "seen"))
    assert complaints(browser) == []


def test_with_keys_each_page_shows_what_it_has_once_one_is_given(
    tmp_path: Path, browser: Any
) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    config = tmp_path / "gateway.yaml"
    config.write_text(f"callers: [{{name: me, key_sha256: {digest}}}]\n")
    process, at = serving.start(tiny_text_bundle(tmp_path / "tiny"), "--config", str(config))
    news = "return document.getElementById('news').textContent"
    give = (
        "document.getElementById('key').value = arguments[0];"
        "document.querySelector('#key-form button').click()"
    )
    said = []
    try:
        for path, shown in (("/", "#overview dd"), ("/playground", "#seen dd")):
            look(browser, at + path)
            browser.execute_script("sessionStorage.clear()")
            before = browser.execute_script(f"return !!document.querySelector('{shown}')")
            browser.execute_script(give, "wrong")
            refused = until(browser, f"{news}.startsWith('No news') && {news[7:]}")
            browser.execute_script(give, "right")
            until(browser, f"return !!document.querySelector('{shown}')")
            said.append((before, refused))
        last = browser.execute_script(news)
    finally:
        assert serving.stop(process) == 0

    assert said == [(False, "No news: no key, or one that is not known.")] * 2
    assert last == "Answered by edge, in 2 steps."
    assert complaints(browser)  # of the wrong key alone
