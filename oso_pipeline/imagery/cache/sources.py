"""Get the numbers of an asset from where they are; one function per kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.cache.from_web import copy_from_web
from oso_pipeline.imagery.cache.transcode import transcode
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import read_header
from oso_pipeline.imagery.image_kinds import DRIVERS, Kind, kind_of
from oso_pipeline.imagery.zarr.array import stored_bytes

Fetch = Callable[[Asset, Path], None]
"""Writes the numbers of an asset into a TIFF, all or nothing; raises `InputDataError`."""

_REMEDY = "copy or download the product again, then run `oso run` once more"


def fetch(asset: Asset, target: Path, address: str | None = None) -> None:
    """Write the copy of an asset.

    Parameters
    ----------
    asset
        Names the source.
    target
        The copy: a TIFF of the same numbers on the same grid.
    address
        Of a source on the web: address with which it is fetched, where access is signed.

    Raises
    ------
    InputDataError
        If the source has vanished (``E-IMAGE-VANISHED``), has changed since the inventory
        (``E-IMAGE-CHANGED``) or cannot be read (``E-IMAGE-CUT``).
    EnvironmentFailure
        If the system refuses to write.
    """
    kind = kind_of(asset.href)
    if kind == "remote":
        copy_from_web(asset, address or asset.href, target)
    else:
        FETCH[kind](asset, target)


def _from_file(asset: Asset, target: Path) -> None:
    """Copy from a file, whose size has to be that of the inventory."""
    try:
        size = Path(asset.href).stat().st_size
    except FileNotFoundError as error:
        message = "an image file has vanished since the inventory was made"
        raise _failure("E-IMAGE-VANISHED", message, asset) from error
    if size != asset.size_bytes:
        found = f"an image file has {size} bytes, {asset.size_bytes} when the inventory was made"
        raise _failure("E-IMAGE-CHANGED", found, asset)
    _transcode(asset, target)


def _from_store(asset: Asset, target: Path) -> None:
    """Copy from an array whose chunks have the size of the inventory.

    GDAL reads no data for a chunk that is not there any more.
    """
    with _named(asset):
        try:
            size = stored_bytes(asset.href)
        except FileNotFoundError as error:
            message = "a store of images has vanished since the inventory was made"
            raise _failure("E-IMAGE-VANISHED", message, asset) from error
        read_header(asset.href)
    if size != asset.size_bytes:
        found = f"the chunks have {size} bytes, {asset.size_bytes} when the inventory was made"
        raise _failure("E-IMAGE-CHANGED", found, asset)
    _transcode(asset, target)


def _transcode(asset: Asset, target: Path) -> None:
    """Copy from what GDAL opens in place."""
    with _named(asset):
        transcode(asset.href, DRIVERS[kind_of(asset.href)], target)


@contextmanager
def _named(asset: Asset) -> Iterator[None]:
    """Turn damage of a source into an error that names it and the remedy."""
    try:
        yield
    except (ArchiveError, UnreadableRaster) as error:
        message = f"an image cannot be read, it may be cut short or damaged: {error}"
        raise _failure("E-IMAGE-CUT", message, asset) from error


def _failure(code: str, message: str, asset: Asset) -> InputDataError:
    return InputDataError(Problem(code, message, asset.href, _REMEDY))


FETCH: dict[Kind, Fetch] = {"tiff": _from_file, "jp2": _from_file, "zarr": _from_store}
"""How the numbers of each kind of source are fetched; a kind without a function has no copies."""
