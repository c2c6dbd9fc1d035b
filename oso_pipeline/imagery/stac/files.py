"""The files of an item: on this machine or on the web, and what is known of them unread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.acquisition import StatedPlace
from oso_pipeline.imagery.header import Header, read_headers
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.remote.download import Downloader
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Version
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.stac.item import ItemAsset
from oso_pipeline.imagery.stac.places import place_of

_AT_ONCE = 4
_ON_WEB = "an address on the web (`remote: true` of the reader fetches it)"
_BLOCK = (512, 512)  # of a file that is not read; copies have blocks of their own


@dataclass(frozen=True)
class ImageFile:
    """A file of an item that is there.

    Parameters
    ----------
    href
        Path, or address without what signs access.
    header
        As read, or of a file on the web as the item states it.
    size_bytes
        Size of the file.
    checksum
        Of its content as the item states it, or the version that the server names.
    grid
        Of a file on the web.
    """

    href: str
    header: Header
    size_bytes: int
    checksum: str | None = None
    grid: StatedPlace | None = None


class MissingFiles(Exception):
    """Files of an item that are not there or not described; the text names them."""


def files_of(
    assets: Mapping[str, tuple[str, ItemAsset]], folder: Path, web: Downloader | None
) -> dict[str, ImageFile]:
    """Return the files of bands and classification, by their names.

    Parameters
    ----------
    assets
        Key and asset by name.
    folder
        Folder of the file in which the item stands.
    web
        Requests files on the web; None where they are not read.

    Raises
    ------
    MissingFiles
        If there are files that cannot be had.
    UnreadableRaster
        If files are damaged.
    InputDataError
        If the web refuses for another reason than that a file is gone.
    """
    local, remote, gone = dict[str, Path](), dict[str, str](), list[str]()
    for name, (_, asset) in assets.items():
        place = place_of(asset.href, folder)
        if asset.n_bands > 1:
            gone.append(f"{name} has {asset.n_bands} bands, expected one")
        elif place.url is not None and web is not None:
            remote[name] = place.url
        elif place.path is None:
            gone.append(f"{name} has {place.refused or _ON_WEB}")
        elif not place.path.is_file():
            gone.append(f"{name}: there is no file {place.path}")
        else:
            local[name] = place.path
    files = _remote(assets, remote, web, gone) if web is not None else {}
    if gone:
        raise MissingFiles("; ".join(gone))
    for name, header in read_headers(local).items():
        files[name] = ImageFile(str(header.path), header, header.path.stat().st_size)
    return {name: files[name] for name in assets}


def access_of(assets: Iterable[ItemAsset], folder: Path) -> dict[str, str]:
    """Return the addresses of files on the web as the item gives them, by those without secrets."""
    urls = (place_of(asset.href, folder).url for asset in assets)
    return {without_secrets(url): url for url in urls if url is not None}


def place_on_web(name: str, asset: ItemAsset) -> StatedPlace | None:
    """Return the grid of an image on the web, as its item states it; None without one."""
    header = _header(name, asset, asset.href)
    return None if header is None else _place(header)


def _remote(
    assets: Mapping[str, tuple[str, ItemAsset]],
    urls: Mapping[str, str],
    web: Downloader,
    gone: list[str],
) -> dict[str, ImageFile]:
    """Return files on the web, whose headers are those that the item states."""
    headers = {name: _header(name, assets[name][1], url) for name, url in urls.items()}
    gone += [
        f"{name}: the item states no grid of the image on the web, expected proj:code or "
        "proj:epsg, proj:shape and proj:transform"
        for name, header in headers.items()
        if header is None
    ]
    if gone:
        return {}
    files = {}
    for name, found in _versions(urls, web).items():
        asset, header = assets[name][1], headers[name]
        if isinstance(found, Failure):
            gone.append(f"{name}: {found.found}: {without_secrets(found.url)}")
        elif header is not None:
            etag = f"etag:{found.etag}" if found.etag else None
            files[name] = ImageFile(
                without_secrets(urls[name]),
                header,
                found.size_bytes or asset.size_bytes or 0,
                f"multihash:{asset.checksum}" if asset.checksum else etag,
                _place(header),
            )
    return files


def _versions(urls: Mapping[str, str], web: Downloader) -> dict[str, Version | Failure]:
    """Request the versions of files, some at a time; those that are gone are failures."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pending = {name: pool.submit(web.version_of, url) for name, url in urls.items()}
    found: dict[str, Version | Failure] = {}
    for name, one in pending.items():
        try:
            found[name] = one.result()
        except Failure as failure:
            if failure.code != "E-FETCH-GONE":
                raise InputDataError(failure.problem) from None
            found[name] = failure
    return found


def _header(name: str, asset: ItemAsset, url: str) -> Header | None:
    if asset.epsg is None or asset.shape is None or asset.transform is None:
        return None
    try:
        crs = CRS.from_epsg(asset.epsg)
    except ValueError:
        return None
    dtype = asset.data_type or ("uint8" if name == SCL else "uint16")
    path = Path(without_secrets(url))
    return Header(path, asset.shape, Affine(*asset.transform), crs, dtype, asset.nodata, _BLOCK)


def _place(header: Header) -> StatedPlace:
    return StatedPlace(header.epsg or 0, header.transform.c, header.transform.f, *header.shape)
