"""Get the numbers of an image that is on the web."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from oso_pipeline.core.commit import set_aside
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.cache.transcode import transcode
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header, driver_of, read_header
from oso_pipeline.imagery.placement import SNAP
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.remote.download import Downloader, Wanted
from oso_pipeline.imagery.remote.failures import Failure

_AGAIN = "run again; if it happens again, fetch the items again from the catalogue"


def addresses_of(item: Acquisition, request: Request) -> Mapping[str, str]:
    """Return the addresses with which images on the web are fetched, by those of the inventory.

    They differ where an address is signed: neither keys nor files of the run hold a signature.
    """
    reader = Readers.of(request.readers)[item.family]
    access = getattr(reader, "access", None)
    return {} if access is None else access(item)


def copy_from_web(asset: Asset, address: str, target: Path) -> None:
    """Download an image, check it against the inventory, and write its copy.

    Parameters
    ----------
    asset
        As the inventory has it.
    address
        Its address, signed where that is necessary.
    target
        The copy.

    Raises
    ------
    InputDataError
        If the file cannot be had or is another than before (``E-FETCH-...``), is damaged
        (``E-IMAGE-CUT``), or has another grid than its item states (``E-IMAGE-POSITION``).
    EnvironmentFailure
        If the system refuses to write.
    """
    name = PurePosixPath(asset.href).name
    with set_aside(target) as file:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            Downloader().get(_wanted(asset, address), file)
        except Failure as failure:
            raise InputDataError(failure.problem) from None
        try:
            _check_grid(asset, read_header(file, name))
            transcode(str(file), driver_of(name), target)
        except (UnreadableRaster, RasterioError, CPLE_BaseError) as error:
            message = f"what was downloaded is no image that can be read: {error}"
            raise InputDataError(Problem("E-IMAGE-CUT", message, asset.href, _AGAIN)) from None


def _wanted(asset: Asset, address: str) -> Wanted:
    kind, _, value = (asset.checksum or "").partition(":")
    return Wanted(
        address,
        size_bytes=asset.size_bytes or None,
        checksum=value if kind == "multihash" else None,
        etag=value if kind == "etag" else None,
    )


def _check_grid(asset: Asset, found: Header) -> None:
    """Compare the grid of a file with what its item states."""
    stated = asset.grid
    if stated is None:
        return
    x, y = found.transform.c, found.transform.f
    step = abs(found.transform.a) * SNAP * 10
    is_there = abs(x - stated.x) <= step and abs(y - stated.y) <= step
    if found.epsg == stated.epsg and is_there and found.shape == (stated.rows, stated.columns):
        return
    message = (
        f"the file has EPSG:{found.epsg}, corner ({x:.9g}, {y:.9g}) and {found.shape[0]}x"
        f"{found.shape[1]} pixels, its item states EPSG:{stated.epsg}, ({stated.x:.9g}, "
        f"{stated.y:.9g}) and {stated.rows}x{stated.columns}"
    )
    hint = "item and file do not belong together; fetch the items again from the catalogue"
    raise InputDataError(Problem("E-IMAGE-POSITION", message, asset.href, hint))
