"""A template of this package becomes a page; everything handed to it is escaped."""

from edgewise import __version__, extras
from edgewise.units import format_bytes, format_ms, format_usd


def fill(name: str, **values: object) -> str:
    """Give the page of a template.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    with extras.needed("optimize"):
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - heavy
    environment = Environment(
        loader=PackageLoader("edgewise.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=format_bytes, ms=format_ms, usd=format_usd)
    return environment.get_template(name).render(version=__version__, **values)
