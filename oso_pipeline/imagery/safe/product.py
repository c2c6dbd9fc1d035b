"""A SAFE product whose metadata have been read, and the check of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.checks import check_floats, check_rasters
from oso_pipeline.imagery.contract import incomplete
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header, read_headers
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.safe.files import DAMAGE, image_file, read_tile_metadata
from oso_pipeline.imagery.safe.metadata import Metadata, TileMetadata
from oso_pipeline.imagery.safe.numbers import Numbers, check_numbers
from oso_pipeline.imagery.safe.search import FAMILY
from oso_pipeline.imagery.sen2cor.classes import RESOLUTION_M, SCL, rules_of
from oso_pipeline.imagery.sen2cor.names import Strip, parse_baseline


@dataclass(frozen=True)
class SafeProduct:
    """A SAFE product whose metadata have been read.

    Parameters
    ----------
    candidate
        The product as its metadata name it.
    found
        The product as it was found.
    contents
        Its files.
    metadata
        Content of its metadata file.
    """

    candidate: Candidate
    found: Candidate
    contents: Contents
    metadata: Metadata

    def completes(self, other: Product) -> bool:
        """Return whether this and another product of the datatake are two parts of the tile.

        Those have one baseline and different strips.
        """
        if (
            not isinstance(other, SafeProduct)
            or self.candidate.rank[:2] != other.candidate.rank[:2]
        ):
            return False
        return self._strip.completes(other._strip)

    @property
    def _strip(self) -> Strip:
        return Strip(self.metadata.strip, self.metadata.generated)

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs; None where an error was found."""
        if self.found.product_id != self.candidate.product_id:
            problems.warn(
                "W-IMAGE-RENAMED",
                f"the metadata call the product {self.candidate.product_id}, which is used",
                self.found.path,
            )
        try:
            stated = self._stated_grid(request, problems)
            if stated is None:
                return None
            missing = [
                f"{band} at {SENTINEL2.resolution_m(band)} m"
                for band in request.bands
                if not self._band_file(band)
            ]
            if missing:
                found = f"{', '.join(missing)} missing"
                return incomplete(self.candidate, found, request, problems)
            if image_file(self.contents, SCL, RESOLUTION_M) is None:
                found = (
                    f"the scene classification is missing: expected a file *_SCL_{RESOLUTION_M}m"
                )
                return incomplete(self.candidate, found, request, problems, code="IMAGE-MASK")
            return self._checked(request, stated, problems)
        except DAMAGE as error:
            found = f"it cannot be read: {error}"
            return incomplete(self.candidate, found, request, problems)

    def _stated_grid(self, request: Request, problems: Problems) -> StatedGrid | None:
        """Return the grid of the metadata; None where they are of another tile than requested."""
        granule = self._granule
        tiles = {self.candidate.tile, *self.metadata.tiles, granule.tile if granule else None}
        others = sorted(tile for tile in tiles if tile not in (None, request.tile))
        if others:
            problems.error(
                "E-IMAGE-CRS",
                f"the metadata say tile T{', T'.join(map(str, others))}, the product was taken for "
                f"T{request.tile}",
                self.found.path,
                "move the product to the folder of its tile",
            )
            return None
        return granule.grid if granule else StatedGrid()

    @cached_property
    def _granule(self) -> TileMetadata | None:
        return read_tile_metadata(self.contents)

    def _band_file(self, band: str) -> str | None:
        return image_file(self.contents, band, SENTINEL2.resolution_m(band))

    def _checked(
        self, request: Request, stated: StatedGrid, problems: Problems
    ) -> Acquisition | Skipped | None:
        files = {band: self._band_file(band) for band in request.bands}
        files[SCL] = image_file(self.contents, SCL, RESOLUTION_M)
        paths = self.contents.paths(name for name in files.values() if name)
        try:
            headers = read_headers({asset: paths[name] for asset, name in files.items() if name})
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        quality = {SCL: headers.pop(SCL)}
        resolutions = {band: SENTINEL2.resolution_m(band) for band in headers} | {SCL: RESOLUTION_M}
        where = self.found.path
        tile = Tile(request.tile)
        rasters = ProductRasters(where, tile, headers, quality, resolutions, stated)
        grid = check_rasters(rasters, problems)
        numbers = check_numbers(self.metadata, where, problems)
        if grid is None or numbers is None:
            return None
        bands = _assets(headers, numbers)
        try:
            if not check_floats(rasters, bands, problems):
                return None
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        mask = quality[SCL].path
        return Acquisition(
            product_id=self.candidate.product_id,
            tile=request.tile,
            acquired=self.candidate.acquired,
            platform=self.candidate.platform,
            family=FAMILY,
            version=self.metadata.baseline or "",
            bands=bands,
            quality={SCL: Asset(str(mask), RESOLUTION_M, size_bytes=mask.stat().st_size)},
            rules=rules_of(request.clear),
            cloud_percent=self.metadata.cloud_percent,
            path=where.absolute(),
            processing=self._processing(),
        )

    def _processing(self) -> Processing:
        """Return how the product was made; its metadata do not name the version of Sen2Cor."""
        baseline = parse_baseline(self.metadata.baseline)
        granule = self._granule
        return Processing(
            baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
            aerosol_optical_depth=self.metadata.aerosol,
            sun_zenith_deg=granule.sun_zenith_deg if granule else None,
            relative_orbit=self.metadata.orbit,
        )


def _assets(headers: Mapping[str, Header], numbers: Numbers) -> dict[str, Asset]:
    return {
        band: Asset(
            str(header.path),
            SENTINEL2.resolution_m(band),
            scale=numbers.scale,
            offset=numbers.offsets[band],
            nodata=numbers.nodata,
            saturated=numbers.saturated,
            size_bytes=header.path.stat().st_size,
        )
        for band, header in headers.items()
    }
