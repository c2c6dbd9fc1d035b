"""Parts of entries that several catalogues share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any
from urllib.parse import unquote, urlsplit

from oso_pipeline.imagery.file_names import is_clutter, is_text
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.stac.fields import as_mapping, as_objects, as_text, as_whole
from oso_pipeline.retrieval.catalogues.paging import Entry
from oso_pipeline.retrieval.names import Named
from oso_pipeline.retrieval.offers import Need

_MULTIHASH = {"MD5": ("d50110", 32), "SHA256": ("1220", 64), "BLAKE3": ("1e20", 64)}
MAX_SIZE = 1 << 44
"""A product has some GB; a size of more than 17 TB is none."""

_HEXADECIMAL = frozenset("0123456789abcdef")


def multihash(method: str, value: object) -> str | None:
    """Return a checksum as multihash; None where it is damaged or of another method.

    Parameters
    ----------
    method
        ``MD5``, ``SHA256`` or ``BLAKE3``, in any case and with or without a hyphen.
    value
        The sum in hexadecimal.

    Examples
    --------
    >>> multihash("md5", "86f828c4c7e921615d1cd0476604f780")
    'd5011086f828c4c7e921615d1cd0476604f780'
    >>> multihash("MD5", "no sum")
    """
    text = (as_text(value) or "").lower()
    begin, length = _MULTIHASH.get(method.upper().replace("-", ""), ("", 0))
    return f"{begin}{text}" if begin and len(text) == length and {*text} <= _HEXADECIMAL else None


def size_of(value: object) -> int | None:
    """Return the size of a file in bytes; None where none is stated that can be one.

    Examples
    --------
    >>> size_of(764210185), size_of("764210185"), size_of(0), size_of(-1)
    (764210185, None, None, None)
    """
    number = as_whole(value)
    return number if number is not None and 0 < number <= MAX_SIZE else None


def identifier_of(value: object) -> str | None:
    """Return an identifier; None where it is none that can be written to a file."""
    text = as_text(value)
    return text if text is not None and is_text(text) else None


def features_of(answer: object, url: str) -> tuple[Entry, ...]:
    """Return the entries of an answer in GeoJSON.

    Raises
    ------
    Failure
        If it is none (``E-FETCH-CATALOGUE``).
    """
    return listed_in(answer, "features", url)


def listed_in(answer: object, key: str, url: str) -> tuple[Entry, ...]:
    """Return the objects of a list in an answer.

    Raises
    ------
    Failure
        If there is no such list (``E-FETCH-CATALOGUE``).
    """
    content = as_mapping(answer)
    if not isinstance(content.get(key), list):
        said = as_text(content.get("description")) or as_text(content.get("detail")) or ""
        text = f"the answer of the catalogue holds no list {key!r}{said and ': ' + said[:200]}"
        raise Failure("E-FETCH-CATALOGUE", text, url, is_passing=True)
    return as_objects(content[key])


def n_matched_of(answer: Mapping[str, Any]) -> int | None:
    """Return how many entries match by an answer in GeoJSON; None where it does not say."""
    context = as_mapping(answer.get("context"))
    for stated in (context.get("matched"), answer.get("numberMatched")):
        if (number := as_whole(stated)) is not None and number >= 0:
            return number
    return None


def misfit(named: Named, need: Need) -> str | None:
    """Return why a product is none of a need; None where it is."""
    if named.tile != need.tile:
        return "of another tile"
    if not need.first <= named.acquired.astimezone(UTC).date() <= need.last:
        return "of another day"
    return None


def plain_name(href: str) -> str | None:
    """Return the name of a file by its address; None where it has none that a disk may take.

    Examples
    --------
    >>> plain_name("s3://b/27/V/B02.jp2?sig=1"), plain_name("https://host/a/..")
    ('B02.jp2', None)
    """
    name = unquote(urlsplit(href).path).rpartition("/")[2].strip()
    unusable = not name or is_clutter(name) or not is_text(name) or {"\\", "\0"} & {*name}
    return None if unusable or name in (".", "..") else name


def geometry_of(value: object) -> Mapping[str, Any] | None:
    """Return a geometry of GeoJSON; None for any other value."""
    content = as_mapping(value)
    return content if as_text(content.get("type")) and content.get("coordinates") else None
