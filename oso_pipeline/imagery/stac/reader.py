"""Reader of Sentinel-2 L2A images that STAC items describe.

An item tells where each band lies and how its numbers become reflectance. It may stand in a file of
its own, in an item collection, in a STAC-GeoParquet table, or be linked to by a static catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from oso_pipeline.core.commit import digest
from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import TILE_SIZE_M
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Acquisition, Reason, Skipped, StatedPlace
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.contract import skip, unreadable
from oso_pipeline.imagery.processing import UNSTATED, Processing
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.remote.download import Downloader
from oso_pipeline.imagery.sen2cor.classes import RESOLUTION_M, SCL, meaning, refused
from oso_pipeline.imagery.sen2cor.delivery import delivery_by_name
from oso_pipeline.imagery.stac.angles import item_angles
from oso_pipeline.imagery.stac.documents import DocumentError, item_in
from oso_pipeline.imagery.stac.files import access_of, place_on_web
from oso_pipeline.imagery.stac.item import Item, ItemAsset
from oso_pipeline.imagery.stac.places import place_of
from oso_pipeline.imagery.stac.product import StacProduct
from oso_pipeline.imagery.stac.providers import choose
from oso_pipeline.imagery.stac.search import (
    FAMILY,
    faults_of_file,
    images_of_file,
    item_of,
    products_at,
)
from oso_pipeline.imagery.stac.settings import StacSettings

_PRODUCTS = "Sentinel-2 images in STAC catalogues"
_SETTING = "`imagery.readers: [{kind: stac, remote: true}]`"
_BYTES_OF_NUMBER, _BYTES_OF_CLASS = 1.4, 0.05
"""Of a pixel of a compressed file, somewhat more than usual."""


class StacReader:
    """Finds and opens products that STAC items describe.

    Parameters
    ----------
    settings
        Of its kind.
    """

    family = FAMILY
    delivery = delivery_by_name(FAMILY)
    meaning = staticmethod(meaning)
    files = StacSettings.files
    expected = "STAC items of Sentinel-2 L2A (.json, .geojson, .parquet)"

    def __init__(self, settings: StacSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products of the items of a file; a folder is none."""
        return products_at(path) if path.suffix.lower() in self.files else ()

    def faults(self, path: Path) -> tuple[tuple[Reason, str], ...]:
        """Return what of a file of items is not used, and why."""
        return faults_of_file(path)

    def named(self, candidate: Candidate) -> Processing:
        """Return what the item tells, as the search read it: the processing baseline."""
        major, minor = candidate.rank[:2]
        known = (major, minor) != (0, 0)
        return Processing(baseline=f"{major:02d}.{minor:02d}") if known else UNSTATED

    def refuses(self, clear: ClearPolicy) -> str | None:
        """Return why a clear rule has no meaning for these products; None where it has one."""
        return refused(clear, _PRODUCTS)

    def images(self, path: Path) -> Iterator[Path]:
        """Yield the files on this machine that the items of a file name."""
        return images_of_file(path)

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of the item, and of names and sizes of the files of its bands."""
        try:
            item = item_of(candidate)
        except DocumentError as error:
            return f"unreadable: {error}"
        except OSError as error:
            return f"unreadable: {error.strerror}"
        return digest([item.facts(), _sizes(item, candidate)])

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the images of a product have."""
        try:
            return sum(_sizes(item_of(candidate), candidate).values())
        except (DocumentError, OSError):
            return 0

    def peek(self, candidate: Candidate) -> Path | None:
        """Return a 10 m raster of the product that GDAL opens in place, None without one."""
        try:
            found = choose(item_of(candidate)).assets.get("B2")
        except (DocumentError, OSError):
            return None
        path = None if found is None else place_of(found[1].href, candidate.path.parent).path
        return path if path is not None and path.is_file() else None

    def stated_place(self, candidate: Candidate) -> StatedPlace | None:
        """Return the 10 m grid of images on the web, as the item states it; None without one."""
        try:
            found = choose(item_of(candidate)).assets.get("B2")
        except (DocumentError, OSError):
            return None
        if found is None or place_of(found[1].href, candidate.path.parent).url is None:
            return None
        return place_on_web("B2", found[1])

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the item of a product; None where an error was found."""
        if reason := self.refuses(request.clear):
            hint = "set `imagery.clear` to oso or conservative"
            problems.error("E-IMAGE-CLEAR", reason, candidate.path, hint)
            return None
        try:
            item = item_of(candidate)
        except DocumentError as error:
            return unreadable(candidate, error, request, problems)
        if item.is_level_1:
            found = "L1C is not corrected for the atmosphere; Sentinel-2 L2A is read"
            return skip(candidate, request.tile, "not_supported", found)
        if not self.settings.remote and is_on_web(item, candidate):
            found = f"its images are on the web; {_SETTING} reads them"
            return skip(candidate, request.tile, "not_supported", found)
        return StacProduct(candidate, item, Downloader() if self.settings.remote else None)

    def check(self, candidates: Sequence[Candidate]) -> list[Problem]:
        """Say once that images are on the web, where they are not read (``IMAGE-REMOTE``)."""
        if self.settings.remote:
            return []
        remote = [one for one in candidates if _is_remote(one)]
        if not remote:
            return []
        is_all = len(remote) == len(candidates)
        return [
            Problem(
                "E-IMAGE-REMOTE" if is_all else "W-IMAGE-REMOTE",
                f"the images of {counted(len(remote), 'STAC item')} are on the web "
                f"({remote[0].product_id} ...) and are not read",
                str(remote[0].path),
                f"set {_SETTING}, or fetch the images and let the items name the files",
            )
        ]

    @property
    def cached(self) -> str:
        """Kind of the images that are copied before they are read."""
        return "remote" if self.settings.remote else "jp2"

    def cached_bytes(self, candidate: Candidate, request: Request) -> int:
        """Return the size of the images on the web and in JPEG 2000 that are read of a product."""
        try:
            chosen = choose(item_of(candidate)).assets
        except (DocumentError, OSError):
            return 0
        named = {name: chosen[name][1] for name in (*request.bands, SCL) if name in chosen}
        return sum(self._copied(name, one, candidate) for name, one in named.items())

    def _copied(self, name: str, asset: ItemAsset, candidate: Candidate) -> int:
        place = place_of(asset.href, candidate.path.parent)
        if place.url is not None:
            return size_on_web(name, asset) if self.settings.remote else 0
        is_jp2 = place.path is not None and place.path.suffix.lower() == ".jp2"
        return place.path.stat().st_size if is_jp2 and place.path and place.path.is_file() else 0

    def access(self, acquisition: Acquisition) -> dict[str, str]:
        """Return the addresses with which images are fetched, by those in the inventory.

        What signs access stands in the item alone, and is read again each time.
        """
        try:
            item = item_in(acquisition.path, acquisition.product_id)
        except (DocumentError, OSError):
            item = None
        return {} if item is None else access_of(item.assets.values(), acquisition.path.parent)

    def angles(self, acquisition: Acquisition) -> Angles | None:
        """Return the mean angles of a scene; None where neither item nor metadata state any."""
        try:
            item = item_in(acquisition.path, acquisition.product_id)
            return None if item is None else item_angles(item, acquisition.path.parent)
        except (DocumentError, OSError):
            return None


def is_on_web(item: Item, candidate: Candidate) -> bool:
    """Return whether the images that can be read are all on the web.

    Where some were fetched, those that a run needs may be among them.
    """
    assets = [asset for _, asset in choose(item).assets.values()]
    return bool(assets) and all(place_of(one.href, candidate.path.parent).url for one in assets)


def size_on_web(name: str, asset: ItemAsset) -> int:
    """Return the size of a file on the web, as stated or as usual for its number of pixels."""
    if asset.size_bytes:
        return asset.size_bytes
    resolution = RESOLUTION_M if name == SCL else SENTINEL2.resolution_m(name)
    rows, columns = asset.shape or (TILE_SIZE_M // resolution, TILE_SIZE_M // resolution)
    return int(rows * columns * (_BYTES_OF_CLASS if name == SCL else _BYTES_OF_NUMBER))


def _is_remote(candidate: Candidate) -> bool:
    try:
        return is_on_web(item_of(candidate), candidate)
    except (DocumentError, OSError):
        return False


def _sizes(item: Item, candidate: Candidate) -> dict[str, int]:
    """Return the size of each file of bands and classification, by the key of its asset."""
    sizes = {}
    for name, (key, asset) in choose(item).assets.items():
        place = place_of(asset.href, candidate.path.parent)
        if place.url is not None:
            sizes[key] = size_on_web(name, asset)
        elif place.path is not None and place.path.is_file():
            sizes[key] = place.path.stat().st_size
    return sizes
