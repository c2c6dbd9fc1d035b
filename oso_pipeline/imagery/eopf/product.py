"""An EOPF product whose metadata have been read, and the check of its arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.checks import check_floats, check_rasters
from oso_pipeline.imagery.contract import incomplete
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.eopf.aerosols import forecast_of
from oso_pipeline.imagery.eopf.arrays import Numbers, array_of, check_numbers, group_of
from oso_pipeline.imagery.eopf.chunks import check_chunks
from oso_pipeline.imagery.eopf.metadata import Metadata
from oso_pipeline.imagery.eopf.search import DAMAGE, FAMILY
from oso_pipeline.imagery.header import ZARR, Header, array_header
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.sen2cor.classes import RESOLUTION_M, SCL, rules_of
from oso_pipeline.imagery.sen2cor.names import MADE_TOGETHER, Baseline, parse_baseline
from oso_pipeline.imagery.zarr.array import ArrayInfo, Documents, gdal_name


@dataclass(frozen=True)
class EopfProduct:
    """An EOPF product whose metadata have been read.

    Parameters
    ----------
    candidate
        The product as its metadata name it.
    found
        The product as it was found.
    documents
        The metadata of its store.
    metadata
        Content of the attributes of the root.
    """

    candidate: Candidate
    found: Candidate
    documents: Documents
    metadata: Metadata

    def completes(self, other: Product) -> bool:
        """Return whether this and another product of the datatake are two parts of the tile.

        A tile that two strips of a datatake share comes in two products of one baseline, made at
        about the same time. The attributes do not name the strip.
        """
        if (
            not isinstance(other, EopfProduct)
            or self.candidate.rank[:2] != other.candidate.rank[:2]
            or self.candidate.product_id == other.candidate.product_id
        ):
            return False
        own, others = self.metadata.generated, other.metadata.generated
        return own is not None and others is not None and abs(own - others) <= MADE_TOGETHER

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every array that `request` needs; None where an error was found."""
        if self.found.product_id != self.candidate.product_id:
            problems.warn(
                "W-IMAGE-RENAMED",
                f"the metadata call the product {self.candidate.product_id}, which is used",
                self.found.path,
            )
        if not self._is_of(request.tile, problems):
            return None
        try:
            arrays = {name: self._array(name) for name in (*request.bands, SCL)}
            if missing := [band for band in request.bands if arrays[band] is None]:
                return incomplete(self.candidate, self._without(missing), request, problems)
            if arrays[SCL] is None:
                found = f"the scene classification is missing: expected {array_of(SCL)}"
                return incomplete(self.candidate, found, request, problems, code="IMAGE-MASK")
            known = {name: info for name, info in arrays.items() if info is not None}
            check_chunks(self.documents.store, known)
            return self._checked(known, request, problems)
        except (*DAMAGE, UnreadableRaster) as error:
            return incomplete(self.candidate, str(error), request, problems)

    def _is_of(self, tile: str, problems: Problems) -> bool:
        if self.candidate.tile in (None, tile):
            return True
        problems.error(
            "E-IMAGE-CRS",
            f"the metadata say tile T{self.candidate.tile}, the product was taken for T{tile}",
            self.found.path,
            "move the product to the folder of its tile",
        )
        return False

    def _array(self, name: str) -> ArrayInfo | None:
        return self.documents.array(array_of(name))

    def _without(self, missing: list[str]) -> str:
        """Return which bands are missing, and which arrays are where they should be."""
        parts = []
        for group in dict.fromkeys(group_of(band) for band in missing):
            bands = [array_of(band) for band in missing if group_of(band) == group]
            names = ", ".join(name.rpartition("/")[2] for name in bands)
            there = ", ".join(self.documents.arrays_in(group))
            parts.append(f"{names} missing in {group}" + (f" (found {there})" if there else ""))
        return "; ".join(parts)

    def _checked(
        self, arrays: Mapping[str, ArrayInfo], request: Request, problems: Problems
    ) -> Acquisition | Skipped | None:
        store, where = self.documents.store, self.found.path
        headers = {
            name: array_header(info, gdal_name(store, info.name)) for name, info in arrays.items()
        }
        bands = {name: headers[name] for name in request.bands}
        resolutions = {band: SENTINEL2.resolution_m(band) for band in bands} | {SCL: RESOLUTION_M}
        rasters = ProductRasters(
            where,
            Tile(request.tile),
            bands,
            {SCL: headers[SCL]},
            resolutions,
            StatedGrid(epsg=self.metadata.epsg),
        )
        before = len(problems.errors)
        grid = check_rasters(rasters, problems)
        check_shapes(arrays, headers, problems)
        check_coordinates(headers, problems)
        baseline = self._baseline(problems)
        infos = {band: arrays[band] for band in request.bands}
        numbers = check_numbers(infos, baseline, where, problems)
        if grid is None or numbers is None or len(problems.errors) > before:
            return None
        sizes = {name: sum(store.sizes(info.name).values()) for name, info in arrays.items()}
        assets = {
            band: _asset(headers[band], SENTINEL2.resolution_m(band), sizes[band], numbers[band])
            for band in request.bands
        }
        if not check_floats(rasters, assets, problems):
            return None
        return Acquisition(
            product_id=self.candidate.product_id,
            tile=request.tile,
            acquired=self.candidate.acquired,
            platform=self.candidate.platform,
            family=FAMILY,
            version=self.metadata.baseline or "",
            bands=assets,
            quality={SCL: Asset(str(headers[SCL].path), RESOLUTION_M, size_bytes=sizes[SCL])},
            rules=rules_of(request.clear),
            cloud_percent=self.metadata.cloud_percent,
            path=where.absolute(),
            processing=self._processing(baseline),
        )

    def _baseline(self, problems: Problems) -> Baseline | None:
        """Return the processing baseline, that of the name where the attributes state none."""
        stated = self.metadata.baseline
        baseline = parse_baseline(stated)
        if stated is not None and baseline is None:
            problems.error(
                "E-IMAGE-BASELINE",
                f"eopf:baseline is {stated}, expected a number such as 05.11",
                self.found.path,
                "fetch the product again, or take it out of imagery.paths",
            )
        named = self.candidate.rank[:2]
        return baseline or ((named[0], named[1]) if any(named) else None)

    def _processing(self, baseline: Baseline | None) -> Processing:
        """Return how the product was made.

        It holds a forecast of aerosols by CAMS; whether the correction used it is not stated.
        """
        metadata = self.metadata
        return Processing(
            processor=metadata.processor,
            processor_version=metadata.processor_version,
            baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
            aerosol_optical_depth=metadata.aerosol,
            sun_zenith_deg=metadata.sun_zenith_deg,
            relative_orbit=metadata.orbit,
            aerosols=forecast_of(self.documents),
        )


def check_shapes(
    arrays: Mapping[str, ArrayInfo], headers: Mapping[str, Header], problems: Problems
) -> None:
    """Check rows and columns against the attribute ``proj:shape`` (``E-IMAGE-SIZE``)."""
    for name, info in arrays.items():
        stated = info.attributes.get("proj:shape")
        if stated is not None and stated != list(info.shape):
            size = "x".join(map(str, stated if isinstance(stated, list) else [stated]))
            problems.error(
                "E-IMAGE-SIZE",
                f"size {info.shape[0]}x{info.shape[1]} differs from {size} in proj:shape",
                headers[name].path,
                "fetch the product again",
            )


def check_coordinates(headers: Mapping[str, Header], problems: Problems) -> None:
    """Check the coordinates beside the arrays against the grid that their attributes state.

    Other programs place the pixels by the coordinates, so products where the two differ are
    placed differently by each. One array of each shape is looked at; GDAL reads the coordinates of
    rows and columns when it opens one. They may be those of centres or of corners.

    Parameters
    ----------
    headers
        The headers of the arrays.
    problems
        Takes ``E-IMAGE-POSITION``.

    Raises
    ------
    UnreadableRaster
        If GDAL cannot open an array.
    """
    first = {header.shape: header for header in headers.values()}
    for header in first.values():
        with damage_as(UnreadableRaster, "GDAL cannot open it"), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(header.path, driver=ZARR) as source:
                found = source.transform
        stated, side = header.transform, abs(header.transform.a)
        if found.is_identity or stated.is_identity:
            continue
        apart = max(abs(found.c - stated.c), abs(found.f - stated.f))
        if (found.a, found.e) != (stated.a, stated.e) or apart > side:
            problems.error(
                "E-IMAGE-POSITION",
                f"the coordinates x and y begin at ({found.c:.9g}, {found.f:.9g}) in steps of "
                f"{found.a:g} and {found.e:g} m, proj:transform at ({stated.c:.9g}, "
                f"{stated.f:.9g}) in steps of {stated.a:g} and {stated.e:g} m",
                header.path,
                "fetch the product again",
            )


def _asset(header: Header, resolution_m: int, size: int, numbers: Numbers) -> Asset:
    return Asset(
        str(header.path),
        resolution_m,
        scale=numbers.scale,
        offset=numbers.offset,
        nodata=numbers.nodata,
        saturated=numbers.saturated,
        size_bytes=size,
    )
