"""Where the files of items are: on this machine, or on the web."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from oso_pipeline.imagery.remote.addresses import SCHEMES, is_allowed

_DRIVE = re.compile(r"^(?:[A-Za-z]:[\\/]|\\\\)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is; one of `path`, `url` and `refused` is given.

    Parameters
    ----------
    path
        On this machine, absolute.
    url
        On the web.
    refused
        Why the address is not used.
    """

    path: Path | None = None
    url: str | None = None
    refused: str | None = None


def place_of(href: str, folder: Path) -> Place:
    """Return where a file is.

    Parameters
    ----------
    href
        As the item gives it; relative ones count from `folder`.
    folder
        The folder of the file in which the item stands.
    """
    if _DRIVE.match(href):
        return Place(refused=f"a path of Windows ({href}), write it relative to the item")
    href = local_of(href)
    scheme = urlsplit(href).scheme.lower()
    if scheme and is_allowed(href):
        return Place(url=href)
    if scheme:
        return Place(
            refused=f"an address with {scheme}:, expected a path or {' or '.join(SCHEMES)}"
        )
    if "\0" in href:
        return Place(refused="a path with a character that no name may have")
    names = [unquote(href), href]
    names += [name.replace("\\", "/") for name in names if "\\" in name]  # written on Windows
    paths = [folder.absolute() / name for name in names]
    found = next(filter(_exists, paths), paths[1])
    return Place(path=Path(os.path.normpath(found)))


def local_of(href: str) -> str:
    """Return the path of an address of a file on this machine (RFC 8089); others as they are.

    Examples
    --------
    >>> local_of("file:///data/a%20b/B04.tif"), local_of("file://localhost/data/B04.tif")
    ('/data/a%20b/B04.tif', '/data/B04.tif')
    >>> local_of("./B04.tif"), local_of("file://server/B04.tif")
    ('./B04.tif', 'file://server/B04.tif')
    """
    match = re.match(r"file:(?://(?:localhost)?)?(/(?!/).*)", href, re.IGNORECASE | re.DOTALL)
    return match[1] if match else href


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
