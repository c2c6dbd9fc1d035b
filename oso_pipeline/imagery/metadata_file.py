"""Metadata files in XML that come with products: parsed with suspicion, dates read as they come."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from oso_pipeline.imagery.damage import damage_as

MAX_BYTES = 20 * 1024 * 1024
"""Real files have 0.6 MB; anything above this is refused."""

_DATE = re.compile(
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?)?\s*(?:Z|\+00:?00)?$"
)


class MetadataError(ValueError):
    """A metadata file that cannot be used; the text says why."""


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of an XML file that comes from elsewhere.

    Raises
    ------
    MetadataError
        If it is too large, declares a document type (the way of entity bombs), or is not XML.
    """
    if len(content) > MAX_BYTES:
        raise MetadataError(f"has {len(content)} bytes, at most {MAX_BYTES} are accepted")
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    with damage_as(MetadataError, "is not usable XML"):
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    return root


def parse_date(text: str | None) -> datetime | None:
    """Return the moment of an ISO date with or without time, fraction and ``Z``, as UTC."""
    match = _DATE.match((text or "").strip())
    if match is None:
        return None
    day, hours, minutes, seconds = match[1], *(int(part or 0) for part in match.groups()[1:4])
    fraction = (match[5] or "")[:6].ljust(6, "0")
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        return start.replace(hour=hours, minute=minutes, second=seconds, microsecond=int(fraction))
    except ValueError:
        return None


def as_number(text: str | None) -> float | None:
    """Return text as a number, None where it is none."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def as_integer(text: str | None) -> int | None:
    """Return text as a whole number, None where it is none."""
    number = as_number(text)
    return int(number) if number is not None and number.is_integer() else None


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type; the parser calls this before it reads any entity."""
        raise ValueError("it declares a DOCTYPE, which is refused")
