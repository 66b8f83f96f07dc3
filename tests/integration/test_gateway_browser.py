"""The pages in a real browser, over a gateway in a process of its own with live traffic.

Set EDGEWISE_SCREENSHOTS to a folder to have the pictures of the docs made anew.
"""

import os  # the folder for pictures is the caller's to name
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import serving
from chromium import CONTRAST, chromium, complaints, look

from edgewise.records import (
    Policy,
    PrivacyRules,
    Protocol,
    TierKind,
    TierPolicy,
    write_json,
)
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEADLINE_S = 40


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a policy of two tiers; another gateway stands in for the cloud."""
    folder = tmp_path_factory.mktemp("browser")
    cloud, far = serving.start(tiny_text_bundle(folder / "far"))
    opened = open_bundle(tiny_text_bundle(folder / "run" / "bundle"))
    edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8)
    policy = Policy(
        task="text-classification",
        labels=opened.labels,
        tiers=(
            edge,
            TierPolicy(
                name="cloud",
                kind=TierKind.CLOUD,
                endpoint=far,
                protocol=Protocol.JSON,
                usd_per_request=0.002,
                rtt_p50_ms=40.0,
                rtt_p95_ms=90.0,
            ),
        ),
        privacy=PrivacyRules(detect=("email",)),
        bundle_sha256=opened.sha256,
    )
    opened.close()
    write_json(folder / "run" / "policy.json", policy)
    near, at = serving.start(folder / "run")
    try:
        traffic(at)
        yield at
    finally:
        assert serving.stop(near) == 0
        assert serving.stop(cloud) == 0


def traffic(at: str) -> None:
    texts = ("good good good", "bad bad bad", "good bad", "good, of me@example.org", "so so")
    with httpx2.Client(base_url=at) as client:
        for turn in range(60):
            assert client.post("/predict", json={"text": texts[turn % 5]}).status_code == 200


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
            if browser.execute_script("return !!document.querySelector('#traffic polyline')"):
                return


def keep(browser: Any, name: str) -> None:
    """Write a picture where pictures are wanted."""
    wanted = os.environ.get("EDGEWISE_SCREENSHOTS")
    if wanted:
        assert browser.save_screenshot(str(Path(wanted) / name))


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
    keep(browser, f"dashboard-{'dark' if dark else 'light'}.png")
    assert complaints(browser) == []


@pytest.mark.parametrize("path", ["/", "/playground"])
def test_a_phones_width_is_enough(url: str, browser: Any, path: str) -> None:
    look(browser, url + path, width=360)

    wide = browser.execute_script("return document.documentElement.scrollWidth")
    small = browser.execute_script(
        "return [...document.querySelectorAll('button')]"
        ".filter((one) => one.getBoundingClientRect().height < 24).length"
    )

    assert wide <= 360
    assert small == 0
    keep(browser, f"{'dashboard' if path == '/' else 'playground'}-phone.png")


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
        "const one = document.querySelector('#threshold'); one.value = arguments[0];"
        "one.dispatchEvent(new Event('input', {bubbles: true}))"
    )

    browser.execute_script(slide, "1")
    until(browser, f"return (() => {{{place}}})() === 'cloud_fallback'")
    browser.execute_script(slide, "0")
    until(browser, f"return (() => {{{place}}})() === 'edge'")

    assert "the answer's confidence reaches" in browser.execute_script(
        "return document.querySelector('#seen').textContent"
    )
    assert browser.execute_script(CONTRAST) == []
    keep(browser, "playground-light.png")
    assert complaints(browser) == []
