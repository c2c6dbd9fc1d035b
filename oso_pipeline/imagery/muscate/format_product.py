"""A product in the format of MUSCATE, of whatever level, and the check of its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.checks import check_floats, check_rasters
from oso_pipeline.imagery.clear import ClearPolicy, ClearRule
from oso_pipeline.imagery.contract import incomplete, skip
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header, read_header, read_headers
from oso_pipeline.imagery.muscate.files import DAMAGE, band_file, mask_file
from oso_pipeline.imagery.muscate.metadata import Metadata
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name
from oso_pipeline.imagery.muscate.numbers import check_numbers
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.protocol import Candidate, Request


@dataclass(frozen=True)
class FormatProduct(ABC):
    """A product whose metadata have been read; each level says what is its own.

    Parameters
    ----------
    candidate
        The product under the name of its metadata, where they give one.
    found
        The product as it was found.
    contents
        Its files.
    metadata
        Content of its metadata file.
    reflectance
        Which bands are read, as in the names of their files: FRE, SRE or FRC.
    """

    family: ClassVar[str]
    """Family of the products, for the inventory."""
    masks: ClassVar[tuple[str, ...]]
    """Every mask that is listed where it is there."""

    candidate: Candidate
    found: Candidate
    contents: Contents
    metadata: Metadata
    reflectance: str

    @property
    def name(self) -> ProductName:
        """Parts of its name."""
        name = parse_product_name(self.candidate.product_id)
        assert name is not None  # the candidate was made from one
        return name

    @property
    def acquired(self) -> datetime:
        """Date and time, UTC."""
        return self.metadata.acquired or self.name.acquired

    @abstractmethod
    def rules(self, policy: ClearPolicy) -> tuple[ClearRule, ...]:
        """Return which values of which mask hide a pixel."""

    @abstractmethod
    def not_valid(self) -> str | None:
        """Return why the product holds no image on purpose; None where it does hold one."""

    def missing_bands(self, request: Request, problems: Problems) -> str | None:
        """Return a text on missing bands ('' if none); None where an error was added."""
        missing = [b for b in request.bands if not band_file(self.contents, self.reflectance, b)]
        return f"{self.reflectance} {', '.join(missing)} missing" if missing else ""

    def processing(self) -> Processing:
        """Return how the product was made; the metadata name neither processor nor baseline."""
        return Processing(sun_zenith_deg=self.metadata.sun_zenith_deg)

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs; None where an error was found."""
        where = self.found.path
        if self.found.product_id != self.candidate.product_id:
            problems.warn(
                "W-IMAGE-RENAMED",
                f"the metadata call the product {self.candidate.product_id}, which is used",
                where,
            )
        if self.candidate.tile != request.tile:
            problems.error(
                "E-IMAGE-CRS",
                f"the metadata say tile {self.name.zone}, the folder was taken for T{request.tile}",
                where,
                "move the product to the folder of its tile",
            )
            return None
        try:
            if reason := self.not_valid():
                return skip(self.candidate, request.tile, "not_valid", reason)
            missing = self.missing_bands(request, problems)
            if missing is None or not self._has_masks(request, problems):
                return None
            if missing:
                return incomplete(self.candidate, missing, request, problems)
            return self._checked(request, problems)
        except DAMAGE as error:
            found = f"it cannot be read: {error}"
            return incomplete(self.candidate, found, request, problems)

    def _has_masks(self, request: Request, problems: Problems) -> bool:
        """Report masks that are not there; whether the product can be used all the same."""
        missing = [r for r in self.rules(request.clear) if not mask_file(self.contents, r.asset)]
        for rule in missing:
            if rule.needed:
                problems.error(
                    "E-IMAGE-MASK",
                    f"mask {rule.asset} is missing; without it pixels that it hides would be "
                    "classified",
                    self.found.path,
                    f"expected a file *_{rule.asset}.tif in MASKS; fetch the product again or "
                    "remove it",
                )
            else:
                problems.warn(
                    "W-IMAGE-MASK",
                    f"mask {rule.asset} is missing; pixels count as not masked by it",
                    self.found.path,
                )
        return not any(rule.needed for rule in missing)

    def _checked(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        band_files = {b: band_file(self.contents, self.reflectance, b) for b in request.bands}
        mask_files = {m: found for m in self.masks if (found := mask_file(self.contents, m))}
        paths = self.contents.paths(n for n in (*band_files.values(), *mask_files.values()) if n)
        try:
            bands = read_headers({band: paths[name] for band, name in band_files.items() if name})
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        needed = {rule.asset for rule in self.rules(request.clear) if rule.needed}
        try:
            masks = _mask_headers({m: paths[f] for m, f in mask_files.items()}, needed, problems)
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems, code="IMAGE-MASK")
        resolutions = {band: SENTINEL2.resolution_m(band) for band in bands}
        resolutions |= {mask: resolution_m(mask) for mask in masks}
        rasters = ProductRasters(
            self.found.path, Tile(request.tile), bands, masks, resolutions, self._stated()
        )
        grid = check_rasters(rasters, problems)
        numbers = check_numbers(self.metadata, bands, self.found.path, problems)
        if grid is None or numbers is None:
            return None
        sizes = {path: self.contents.sizes[name] for name, path in paths.items()}
        assets = {
            name: Asset(str(header.path), resolutions[name], size_bytes=sizes[header.path])
            for name, header in {**bands, **masks}.items()
        }
        scale, nodata = numbers
        seen = {name: replace(assets[name], scale=scale, nodata=nodata) for name in bands}
        try:
            if not check_floats(rasters, seen, problems):
                return None
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        return Acquisition(
            product_id=self.name.text,
            tile=request.tile,
            acquired=self.acquired,
            platform=self.name.satellite,
            family=self.family,
            version="{}.{}".format(*self.name.version),
            bands=seen,
            quality={mask: assets[mask] for mask in masks},
            rules=self.rules(request.clear),
            cloud_percent=self.metadata.cloud_percent,
            path=self.found.path.absolute(),
            processing=self.processing(),
        )

    def _stated(self) -> StatedGrid:
        group = self.metadata.groups.get("R1")
        if group is None:
            return StatedGrid(self.metadata.epsg)
        shape, corner = (group.rows, group.columns), (group.ulx, group.uly)
        return StatedGrid(self.metadata.epsg, shape, corner)


def resolution_m(mask: str) -> int:
    """Return the resolution of a mask, metres: those that end with R1 are of 10 m."""
    return 10 if mask.endswith("R1") else 20


def _mask_headers(
    files: Mapping[str, Path], needed: set[str], problems: Problems
) -> dict[str, Header]:
    """Return the headers of the readable masks; others than `needed` may be damaged."""
    headers = read_headers({mask: path for mask, path in files.items() if mask in needed})
    for mask in files.keys() - needed:
        try:
            headers[mask] = read_header(files[mask])
        except UnreadableRaster as error:
            problems.warn(
                "W-IMAGE-MASK",
                f"mask {mask} cannot be read, pixels count as not masked by it: {error}",
                files[mask],
                "fetch the product again",
            )
    return {mask: headers[mask] for mask in files if mask in headers}
