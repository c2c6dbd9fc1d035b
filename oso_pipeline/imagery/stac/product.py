"""A product that a STAC item describes, and the check of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.checks import check_floats, check_rasters
from oso_pipeline.imagery.contract import incomplete
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.remote.download import Downloader
from oso_pipeline.imagery.sen2cor.classes import RESOLUTION_M, SCL, rules_of
from oso_pipeline.imagery.stac.files import ImageFile, MissingFiles, files_of
from oso_pipeline.imagery.stac.item import Item
from oso_pipeline.imagery.stac.numbers import SATURATED, Number, check_numbers
from oso_pipeline.imagery.stac.providers import Chosen, choose
from oso_pipeline.imagery.stac.search import FAMILY


@dataclass(frozen=True)
class StacProduct:
    """A product whose item has been read.

    Parameters
    ----------
    candidate
        The product, as the search found it.
    item
        Its item.
    web
        Requests files on the web; None where they are not read.
    """

    candidate: Candidate
    item: Item
    web: Downloader | None = None

    def completes(self, other: Product) -> bool:
        """Return whether this and another product of the datatake are two parts of the tile.

        Those have one baseline and different strips. Items with one identifier are versions, since
        files of a run are named by it.
        """
        if (
            not isinstance(other, StacProduct)
            or self.candidate.rank[:2] != other.candidate.rank[:2]
            or self.item.id == other.item.id
        ):
            return False
        return self.item.part.completes(other.item.part)

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs; None where an error was found."""
        others = sorted({*self.item.tiles} - {request.tile})
        if others:
            problems.error(
                "E-IMAGE-CRS",
                f"the item {self.item.id} says tile T{', T'.join(others)} besides T{request.tile}",
                self.candidate.path,
                "its fields contradict each other; fetch the item again",
            )
            return None
        missing = [self._lacking(band) for band in request.bands if band not in self._chosen.assets]
        if missing:
            found = f"{', '.join(missing)} missing in the item {self.item.id}"
            return incomplete(self.candidate, found, request, problems)
        if SCL not in self._chosen.assets:
            found = (
                "the scene classification is missing: expected an asset "
                f"{self._chosen.expected[SCL]} in the item {self.item.id}"
            )
            return incomplete(self.candidate, found, request, problems, code="IMAGE-MASK")
        return self._checked(request, problems)

    @cached_property
    def _chosen(self) -> Chosen:
        return choose(self.item)

    def _lacking(self, band: str) -> str:
        return f"{band} (asset {self._chosen.expected[band]})"

    def _checked(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        numbers = check_numbers(
            self.item, self._chosen, request.bands, self.candidate.path, problems
        )
        wanted = {name: self._chosen.assets[name] for name in (*request.bands, SCL)}
        try:
            files = files_of(wanted, self.candidate.path.parent, self.web)
            rasters = self._rasters(request, {name: one.header for name, one in files.items()})
            grid = check_rasters(rasters, problems)
            if grid is None or numbers is None:
                return None
            bands = _assets(files, numbers)
            if not check_floats(_on_this_machine(rasters, files), bands, problems):
                return None
        except MissingFiles as error:
            found = f"files of the item {self.item.id} cannot be read: {error}"
            return incomplete(self.candidate, found, request, problems)
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        return Acquisition(
            product_id=self.item.id,
            tile=request.tile,
            acquired=self.candidate.acquired,
            platform=self.candidate.platform,
            family=FAMILY,
            version=self.item.processing.baseline or "",
            bands=bands,
            quality={SCL: _asset(files[SCL], RESOLUTION_M)},
            rules=rules_of(request.clear),
            cloud_percent=self.item.cloud_percent,
            path=self.candidate.path.absolute(),
            processing=self.item.processing,
        )

    def _rasters(self, request: Request, headers: Mapping[str, Header]) -> ProductRasters:
        bands = {name: header for name, header in headers.items() if name != SCL}
        resolutions = {band: SENTINEL2.resolution_m(band) for band in bands} | {SCL: RESOLUTION_M}
        return ProductRasters(
            self.candidate.path,
            Tile(request.tile),
            bands,
            {SCL: headers[SCL]},
            resolutions,
            self._stated_grid(request.bands),
        )

    def _stated_grid(self, bands: tuple[str, ...]) -> StatedGrid:
        """Return the grid that the item states for its first band of 10 m."""
        for band in bands:
            asset = self._chosen.assets[band][1]
            if SENTINEL2.resolution_m(band) == 10:
                corner = None if asset.transform is None else asset.transform[2:6:3]
                return StatedGrid(
                    asset.epsg, asset.shape, None if corner is None else (corner[0], corner[1])
                )
        return StatedGrid()


def _assets(files: Mapping[str, ImageFile], numbers: Mapping[str, Number]) -> dict[str, Asset]:
    return {
        band: replace(
            _asset(files[band], SENTINEL2.resolution_m(band)),
            scale=number.scale,
            offset=number.offset,
            nodata=number.nodata,
            saturated=SATURATED,
        )
        for band, number in numbers.items()
    }


def _asset(file: ImageFile, resolution_m: int) -> Asset:
    return Asset(
        file.href,
        resolution_m,
        size_bytes=file.size_bytes,
        checksum=file.checksum,
        grid=file.grid,
    )


def _on_this_machine(rasters: ProductRasters, files: Mapping[str, ImageFile]) -> ProductRasters:
    """Return the rasters whose numbers can be looked at."""
    bands = {name: one for name, one in rasters.bands.items() if files[name].grid is None}
    return replace(rasters, bands=bands)
