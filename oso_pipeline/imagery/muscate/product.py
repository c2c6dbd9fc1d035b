"""A MUSCATE product whose metadata have been read, and the check of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.checks import check_floats, check_rasters
from oso_pipeline.imagery.contract import incomplete, skip
from oso_pipeline.imagery.muscate.files import DAMAGE, band_file, is_declared_not_valid, mask_file
from oso_pipeline.imagery.muscate.metadata import Metadata
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name
from oso_pipeline.imagery.muscate.numbers import check_numbers
from oso_pipeline.imagery.muscate.quality import MASKS, resolution_m, rules_of
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid
from oso_pipeline.imagery.protocol import Candidate, Request
from oso_pipeline.imagery.tiff import Header, UnreadableRaster, read_header

FAMILY = "muscate"


def candidate_of(path: Path, name: ProductName, stem: str = "") -> Candidate:
    """Return a product as a candidate of the search; its files at `path` begin with `stem`."""
    moment = name.acquired.replace(microsecond=0).isoformat()
    return Candidate(
        path,
        FAMILY,
        name.text,
        name.tile,
        name.acquired,
        observation=(name.platform, name.zone, moment),
        rank=name.rank,
        stem=stem,
    )


@dataclass(frozen=True)
class MuscateProduct:
    """A MUSCATE product whose metadata have been read.

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
        FRE or SRE.
    """

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
            if reason := self._not_valid():
                return skip(self.candidate, request.tile, "not_valid", reason)
            missing = self._missing_bands(request, problems)
            if missing is None or not self._has_masks(request, problems):
                return None
            if missing:
                return incomplete(self.candidate, missing, request, problems)
            return self._checked(request, problems)
        except DAMAGE as error:
            found = f"it cannot be read: {error}"
            return incomplete(self.candidate, found, request, problems)

    def _not_valid(self) -> str | None:
        if not any(name.lower().endswith(".tif") for name in self.contents.sizes):
            return "metadata without images"
        return "Validity_Flag is L2NOTV" if is_declared_not_valid(self.contents) else None

    def _missing_bands(self, request: Request, problems: Problems) -> str | None:
        """Return a text on missing bands ('' if none); None if another kind of bands exists."""
        wanted = self.reflectance
        other = "SRE" if wanted == "FRE" else "FRE"
        have = {
            kind: [b for b in request.bands if band_file(self.contents, kind, b)]
            for kind in (wanted, other)
        }
        if not have[wanted] and have[other]:
            problems.error(
                "E-IMAGE-REFLECTANCE",
                f"the product has no {wanted} bands but {other} bands; the two are never mixed",
                self.found.path,
                f"set `imagery.readers: [{{kind: {FAMILY}, reflectance: {other}}}]` for the whole "
                "run, or remove the product",
            )
            return None
        missing = [band for band in request.bands if band not in have[wanted]]
        return f"{wanted} {', '.join(missing)} missing" if missing else ""

    def _has_masks(self, request: Request, problems: Problems) -> bool:
        """Report masks that are not there; whether the product can be used all the same."""
        missing = [r for r in rules_of(request.clear) if not mask_file(self.contents, r.asset)]
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
        mask_files = {m: found for m in MASKS if (found := mask_file(self.contents, m))}
        paths = self.contents.paths(n for n in (*band_files.values(), *mask_files.values()) if n)
        try:
            bands = _headers({band: paths[name] for band, name in band_files.items() if name})
        except UnreadableRaster as error:
            return incomplete(self.candidate, str(error), request, problems)
        needed = {rule.asset for rule in rules_of(request.clear) if rule.needed}
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
            acquired=self.metadata.acquired or self.name.acquired,
            platform=self.name.satellite,
            family=FAMILY,
            version="{}.{}".format(*self.name.version),
            bands=seen,
            quality={mask: assets[mask] for mask in masks},
            rules=rules_of(request.clear),
            cloud_percent=self.metadata.cloud_percent,
            path=self.found.path.absolute(),
        )

    def _stated(self) -> StatedGrid:
        group = self.metadata.groups.get("R1")
        if group is None:
            return StatedGrid(self.metadata.epsg)
        shape, corner = (group.rows, group.columns), (group.ulx, group.uly)
        return StatedGrid(self.metadata.epsg, shape, corner)


def _headers(files: Mapping[str, Path]) -> dict[str, Header]:
    headers, damaged = {}, []
    for name, path in files.items():
        try:
            headers[name] = read_header(path)
        except UnreadableRaster as error:
            damaged.append(f"{path.name}: {error}")
    if damaged:
        raise UnreadableRaster("; ".join(damaged))
    return headers


def _mask_headers(
    files: Mapping[str, Path], needed: set[str], problems: Problems
) -> dict[str, Header]:
    """Return the headers of the readable masks; others than `needed` may be damaged."""
    headers = _headers({mask: path for mask, path in files.items() if mask in needed})
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
