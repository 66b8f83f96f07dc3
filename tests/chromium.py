"""A page in a real Chromium, as a person would see it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONTRAST = """
const parse = (c) => c.match(/[\\d.]+/g).map(Number);
const light = (c) => { const [r, g, b] = parse(c).slice(0, 3).map((v) => { v /= 255;
  return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (e) => { while (e) { const c = getComputedStyle(e).backgroundColor;
  const p = parse(c); if (p.length < 4 || p[3] > 0) return c; e = e.parentElement; }
  return "rgb(255,255,255)"; };
const low = [];
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  const style = getComputedStyle(e), svg = e instanceof SVGElement;
  if (["TITLE", "DESC", "SCRIPT", "OPTION"].includes(e.tagName.toUpperCase())) continue;
  const [a, b] = [light(svg ? style.fill : style.color), light(behind(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push(e.tagName + " " + ratio.toFixed(2) + " " + e.textContent.slice(0, 30));
}
return low;
"""
"""Gives every text whose contrast with what is behind it is below 4.5."""
BROKEN = """
const found = [];
for (const e of document.querySelectorAll("h1, h2, th, td, dt, dd, caption, figcaption, p")) {
  for (const node of e.childNodes) {
    if (node.nodeType !== 3) continue;
    for (const word of node.textContent.matchAll(/[^\\s_-]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
      if (tops.size > 1) found.push(word[0]);
    }
  }
}
return found;
"""
"""Gives every word that begins in one line and ends in another; code is not looked at."""

_PLOTS = """
const seen = [...document.querySelectorAll("svg[role=img]")].filter((one) => one.checkVisibility());
const scale = (svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
"""
LETTERS = (
    _PLOTS
    + """
return seen.flatMap((svg) => [...svg.querySelectorAll("text")].map(
  (one) => parseFloat(getComputedStyle(one).fontSize) * scale(svg)));
"""
)
"""Gives how many pixels high the letters of each text in a plot are drawn."""
OVERLAPS = (
    _PLOTS
    + """
const found = [];
const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
for (const svg of seen) {
  const frame = svg.closest("figure").getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map((one) => [one, one.getBoundingClientRect()]);
  const circles = [...svg.querySelectorAll("circle")].map((one) => one.getBoundingClientRect());
  const thick = [...svg.querySelectorAll("polyline, .key")].map((one) => {
    const b = one.getBoundingClientRect(), half = 1.1 * scale(svg);
    return {left: b.left, right: b.right, top: b.top - half, bottom: b.bottom + half}; });
  const title = svg.querySelector("title").textContent;
  texts.forEach(([one, box], at) => {
    const said = (what) => found.push([title, one.textContent, what].join(" | "));
    for (const [other, there] of texts.slice(at + 1))
      if (meet(box, there)) said(other.textContent);
    if (circles.some((there) => meet(box, there))) said("a dot");
    const outside = ["label", "tick"].includes(one.getAttribute("class"));
    if (outside && thick.some((there) => meet(box, there))) said("a line");
    if (box.left < frame.left || box.right > frame.right) said("beyond the frame");
  });
}
return found;
"""
)
"""Gives every text of a plot that meets another, a dot, or, outside the axes, a line."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Open a browser, and close it when the block is left."""
    from selenium import webdriver  # noqa: PLC0415 - only where there is a browser
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert browser is not None, "install chromium"
    assert driver is not None, "install chromium-driver"
    options.binary_location = browser
    for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield made
    finally:
        made.quit()


def look(
    browser: Any, address: str, *, width: int = 1100, dark: bool = False, media: str = ""
) -> None:
    """Open a page at a width, in a scheme, on the screen or as it is printed (`media`)."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
    browser.get(address)


def complaints(browser: Any) -> list[str]:
    """Give what the browser has complained of since it was asked last."""
    return [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]
