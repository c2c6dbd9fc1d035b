"""Reader of Theia/MUSCATE Sentinel-2 L2A products, as folders or zips.

Files are found by the ends of their names, because folders get renamed and metadata of
different versions name masks differently; the metadata give identity, scale and no data.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Reason, Skipped
from oso_pipeline.imagery.archive import (
    ArchiveError,
    Contents,
    FolderContents,
    ZipContents,
    contents_of,
)
from oso_pipeline.imagery.checks import ProductRasters, check_numbers, check_rasters
from oso_pipeline.imagery.muscate.metadata import (
    MAX_BYTES,
    Metadata,
    MetadataError,
    parse_metadata,
    parse_xml,
)
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.tiff import Header, UnreadableRaster, read_header

FAMILY = "muscate"

_REQUIRED_MASKS = ("CLM_R1", "EDG_R1")
_PLAIN_MASKS = ("SAT_R1",)
_CONSERVATIVE_MASKS = ("SAT_R1", "SAT_R2", "MG2_R1")
_OPTIONAL_MASKS = ("CLM_R2", "EDG_R2", "SAT_R2", "MG2_R1", "MG2_R2")
# Errors of the system, such as a full disk, are none of the product's: were they caught here,
# dates would go missing from the map without need.
_DAMAGE = (ArchiveError, MetadataError)


class MuscateReader:
    """Finds and opens MUSCATE products."""

    family = FAMILY

    def recognise(self, path: Path) -> Candidate | None:
        """Return the product at `path`: by its name, or else by the metadata inside."""
        is_zip = path.suffix.lower() == ".zip"
        name = parse_product_name(path.stem if is_zip else path.name)
        if name is None:
            name = _name_in_zip(path) if is_zip else _name_in_folder(path)
        return None if name is None else Candidate(path, FAMILY, name)

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of names and sizes of the files and of the content of metadata."""
        try:
            return contents_of(candidate.path, Path()).digest()
        except (ArchiveError, OSError) as error:
            return f"unreadable: {error}"

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the images of a product have."""
        try:
            return sum(contents_of(candidate.path, Path()).sizes.values())
        except (ArchiveError, OSError):
            return 0

    def peek(self, candidate: Candidate) -> Path | str | None:
        """Return a 10 m raster of the product that GDAL opens in place, None without one."""
        try:
            contents = contents_of(candidate.path, Path())
            for end in ("_FRE_B2.tif", "_SRE_B2.tif", "_CLM_R1.tif"):
                if name := _ending(contents.sizes, end):
                    if isinstance(contents, ZipContents):
                        return contents.member_path(name)
                    return contents.paths([name])[name]
        except (ArchiveError, OSError):
            pass
        return None

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the metadata of a product; None where an error was found."""
        name, where = candidate.name, candidate.path
        if name.level != "L2A" or not name.platform.startswith("SENTINEL2"):
            found = f"{name.platform} {name.level}; Sentinel-2 L2A is read"
            return _skip(candidate, request, "not_supported", found)
        contents = contents_of(where, extracted / name.text)
        again = "fetch the product again, or take it out of the folder"
        try:
            metadata = _read_metadata(contents)
        except MetadataError as error:
            problems.error("E-INPUT-070", f"the metadata file {error}", where, again)
            return None
        except ArchiveError as error:
            if request.incomplete == "error":
                problems.error("E-INPUT-071", f"the product {error}", where, again)
                return None
            problems.warn("W-INPUT-071", f"date left out: the product {error}", where, again)
            return _skip(candidate, request, "unreadable", str(error))
        return MuscateProduct(candidate, contents, metadata, metadata.name or name)


@dataclass(frozen=True)
class MuscateProduct:
    """A MUSCATE product whose metadata have been read.

    Parameters
    ----------
    candidate
        Where it was found.
    contents
        Its files.
    metadata
        What its metadata file says.
    name
        Its name: that of the metadata where they give one.
    """

    candidate: Candidate
    contents: Contents
    metadata: Metadata
    name: ProductName

    def read(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        """Check every file that `request` needs; None where an error was found."""
        where = self.candidate.path
        if self.candidate.name.text != self.name.text:
            problems.warn(
                "W-INPUT-002",
                f"the metadata call the product {self.name.text}, which is used",
                where,
            )
        if self.name.tile != request.tile:
            problems.error(
                "E-INPUT-009",
                f"the metadata say tile {self.name.zone}, the folder was taken for T{request.tile}",
                where,
                "move the product to the folder of its tile",
            )
            return None
        try:
            if reason := self._not_valid():
                return self._skipped(request, "not_valid", reason)
            missing = self._missing_bands(request, problems)
            if missing is None or not self._has_masks(request, problems):
                return None
            if missing:
                return self._incomplete(missing, request, problems)
            return self._checked(request, problems)
        except _DAMAGE as error:
            return self._incomplete(f"it cannot be read: {error}", request, problems)

    def _not_valid(self) -> str | None:
        if not any(name.lower().endswith(".tif") for name in self.contents.sizes):
            return "metadata without images"
        if flags := _ending(self.contents.sizes, "_JPI_ALL.xml"):
            root = parse_xml(self.contents.read_bytes(flags, MAX_BYTES))
            if any((node.text or "").strip() == "L2NOTV" for node in root.iter()):
                return "Validity_Flag is L2NOTV"
        return None

    def _missing_bands(self, request: Request, problems: Problems) -> str | None:
        """Say which bands are missing ('' if none); None where another kind is there."""
        wanted = request.reflectance
        other = "SRE" if wanted == "FRE" else "FRE"
        have = {
            kind: [b for b in request.bands if _ending(self.contents.sizes, f"_{kind}_{b}.tif")]
            for kind in (wanted, other)
        }
        if not have[wanted] and have[other]:
            problems.error(
                "E-INPUT-004",
                f"the product has no {wanted} bands but {other} bands; the two are never mixed",
                self.candidate.path,
                f"set `imagery.reflectance: {other}` for the whole run, or remove the product",
            )
            return None
        missing = [band for band in request.bands if band not in have[wanted]]
        return f"{wanted} {', '.join(missing)} missing" if missing else ""

    def _has_masks(self, request: Request, problems: Problems) -> bool:
        """Report masks that are not there; whether the product can be used all the same."""
        missing = [m for m in _REQUIRED_MASKS if not _mask_file(self.contents, m)]
        for mask in missing:
            problems.error(
                "E-INPUT-006",
                f"mask {mask} is missing; without it clouds and edges would be classified",
                self.candidate.path,
                f"expected a file *_{mask}.tif in MASKS; fetch the product again or remove it",
            )
        wanted = _CONSERVATIVE_MASKS if request.conservative else _PLAIN_MASKS
        for mask in wanted:
            if not _mask_file(self.contents, mask):
                problems.warn(
                    "W-INPUT-006",
                    f"mask {mask} is missing; pixels count as not masked by it",
                    self.candidate.path,
                )
        return not missing

    def _checked(self, request: Request, problems: Problems) -> Acquisition | Skipped | None:
        sizes = self.contents.sizes
        band_files = {b: _ending(sizes, f"_{request.reflectance}_{b}.tif") for b in request.bands}
        masks = (*_REQUIRED_MASKS, *_PLAIN_MASKS, *_OPTIONAL_MASKS)
        mask_files = {m: found for m in masks if (found := _mask_file(self.contents, m))}
        names = [name for name in (*band_files.values(), *mask_files.values()) if name]
        paths = self.contents.paths(names)
        bands = {band: paths[name] for band, name in band_files.items() if name}
        try:
            band_headers = _headers(bands)
        except UnreadableRaster as error:
            return self._incomplete(str(error), request, problems)
        mask_headers = self._mask_headers(mask_files, paths, problems)
        if mask_headers is None:
            return None
        rasters = ProductRasters(
            self.candidate.path, Tile(request.tile), band_headers, mask_headers, self.metadata
        )
        grid, numbers = check_rasters(rasters, problems), check_numbers(rasters, problems)
        if grid is None or numbers is None:
            return None
        return Acquisition(
            product_id=self.name.text,
            tile=request.tile,
            acquired=self.metadata.acquired or self.name.acquired,
            platform=self.name.satellite,
            family=FAMILY,
            version="{}.{}".format(*self.name.version),
            scale=numbers[0],
            nodata=numbers[1],
            bands=bands,
            masks={mask: header.path for mask, header in mask_headers.items()},
            cloud_percent=self.metadata.cloud_percent,
            path=self.candidate.path.absolute(),
            size_bytes=sum(sizes[name] for name in names),
        )

    def _mask_headers(
        self, files: Mapping[str, str], paths: Mapping[str, Path], problems: Problems
    ) -> dict[str, Header] | None:
        """Return the headers of the readable masks, None where a needed one is damaged."""
        headers, usable = {}, True
        for mask, name in files.items():
            try:
                headers[mask] = read_header(paths[name])
            except UnreadableRaster as error:
                needed = mask in _REQUIRED_MASKS
                usable &= not needed
                report, letter = (problems.error, "E") if needed else (problems.warn, "W")
                report(
                    f"{letter}-INPUT-006",
                    f"mask {mask} cannot be read: {error}",
                    paths[name],
                    "fetch the product again, or remove it",
                )
        return headers if usable else None

    def _incomplete(self, found: str, request: Request, problems: Problems) -> Skipped | None:
        if request.incomplete == "error":
            problems.error(
                "E-INPUT-003",
                found,
                self.candidate.path,
                "complete the product, or set `imagery.incomplete: skip` to leave its date out",
            )
            return None
        problems.warn("W-INPUT-003", f"date left out: {found}", self.candidate.path)
        return self._skipped(request, "incomplete", found)

    def _skipped(self, request: Request, reason: Reason, detail: str) -> Skipped:
        named = Candidate(self.candidate.path, FAMILY, self.name)
        return _skip(named, request, reason, detail)


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


def _skip(candidate: Candidate, request: Request, reason: Reason, detail: str) -> Skipped:
    name = candidate.name
    path = candidate.path.absolute()
    return Skipped(name.text, request.tile, reason, detail, path, name.acquired)


def _read_metadata(contents: Contents) -> Metadata:
    name = _ending(contents.sizes, "_MTD_ALL.xml")
    if name is None:
        raise ArchiveError("holds no *_MTD_ALL.xml")
    try:
        return parse_metadata(contents.read_bytes(name, MAX_BYTES))
    except MetadataError as error:
        raise MetadataError(f"{name} {error}") from error


def _mask_file(contents: Contents, mask: str) -> str | None:
    return _ending(contents.sizes, f"_{mask}.tif")


def _ending(names: Iterable[str], end: str) -> str | None:
    """Return the first of `names` with this end, whatever its case."""
    return min((n for n in names if n.lower().endswith(end.lower())), default=None)


def _name_in_folder(folder: Path) -> ProductName | None:
    """Return the product name in the metadata of a folder that was renamed."""
    if not any(folder.glob("*_[Mm][Tt][Dd]_[Aa][Ll][Ll].[Xx][Mm][Ll]")):
        return None
    try:
        return _read_metadata(FolderContents(folder)).name
    except _DAMAGE:
        return None


def _name_in_zip(archive: Path) -> ProductName | None:
    """Return the product name in a zip that was renamed: of its metadata or its top folder."""
    try:
        name = _read_metadata(ZipContents(archive, Path())).name
        if name is None:
            with zipfile.ZipFile(archive) as stream:
                tops = {PurePosixPath(member).parts[0] for member in stream.namelist() if member}
            name = next(filter(None, map(parse_product_name, sorted(tops))), None)
    except (*_DAMAGE, zipfile.BadZipFile):
        return None
    return name
