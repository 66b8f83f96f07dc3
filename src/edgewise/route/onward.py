"""What an endpoint is told of a request beside its input: it may be a gateway that sends on."""

from urllib.parse import quote

from edgewise.records import Input, PrivacyRules

_PLAIN = "!#$&'()*+-./:;<=>?@[]^_`{|}~ "
"""Of a region's name: what a header can hold, but for the comma, which joins two of them."""


def onward(rules: PrivacyRules, one: Input) -> dict[str, str]:
    """Give headers that say what the input's flag and region do: a gateway narrows by them.

    Examples
    --------
    >>> onward(PrivacyRules(residency={"eu": ("edge", "hall")}), {"text": "hi", "region": "eu"})
    {'x-edgewise-region': 'eu'}
    """
    found = {}
    if one.get(rules.flag):
        found["x-edgewise-privacy"] = "true"
    region = one.get(rules.residency_key) if rules.residency else None
    if isinstance(region, str) and region:
        found["x-edgewise-region"] = quote(region, safe=_PLAIN, errors="surrogatepass")
    return found
