"""Reader of Theia/MUSCATE Sentinel-2 L2A products, as folders or zips.

Files belong to a product because they share its stem and its folder, as several products may lie
in one; folders get renamed, and metadata of different versions name masks differently. The
metadata give identity, scale and no data.
"""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Skipped
from oso_pipeline.imagery.archive import (
    ArchiveError,
    FolderContents,
    ZipContents,
    contents_of,
)
from oso_pipeline.imagery.contract import skip
from oso_pipeline.imagery.muscate.files import DAMAGE, NEEDED, ending, read_metadata
from oso_pipeline.imagery.muscate.metadata import MetadataError
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.product import FAMILY, MuscateProduct, candidate_of
from oso_pipeline.imagery.muscate.search import products_at
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import Candidate, Product, Request


class MuscateReader:
    """Finds and opens MUSCATE products.

    Parameters
    ----------
    settings
        Which reflectance is read.
    """

    family = FAMILY
    folders = NEEDED.folders
    expected = (
        "a name such as SENTINEL2A_20180105-105435-000_L2A_T31TCJ_C_V2-2, or a *_MTD_ALL.xml inside"
    )

    def __init__(self, settings: MuscateSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products at `path`, by the stems of their files or by its name."""
        return products_at(path)

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of names and sizes of the files and of the content of metadata."""
        try:
            return _contents(candidate).digest()
        except (ArchiveError, OSError) as error:
            return f"unreadable: {error}"

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the images of a product have."""
        try:
            return sum(_contents(candidate).sizes.values())
        except (ArchiveError, OSError):
            return 0

    def peek(self, candidate: Candidate) -> Path | str | None:
        """Return a 10 m raster of the product that GDAL opens in place, None without one."""
        try:
            contents = _contents(candidate)
            for end in ("_FRE_B2.tif", "_SRE_B2.tif", "_CLM_R1.tif"):
                if name := ending(contents.sizes, end):
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
        name, where = parse_product_name(candidate.product_id), candidate.path
        if name is None:
            raise ValueError(f"{candidate.product_id!r} is not the name of a product")
        if name.level != "L2A" or not name.platform.startswith("SENTINEL2"):
            found = f"{name.platform} {name.level}; Sentinel-2 L2A is read"
            return skip(candidate, request.tile, "not_supported", found)
        contents = _contents(candidate, extracted / name.text)
        again = "fetch the product again, or take it out of the folder"
        try:
            metadata = read_metadata(contents)
        except DAMAGE as error:
            bad_metadata = isinstance(error, MetadataError)
            code = "IMAGE-METADATA" if bad_metadata else "IMAGE-ARCHIVE"
            found = f"the metadata file {error}" if bad_metadata else f"the product {error}"
            if request.incomplete == "error":
                problems.error(f"E-{code}", found, where, again)
                return None
            problems.warn(f"W-{code}", f"date left out: {found}", where, again)
            return skip(candidate, request.tile, "unreadable", str(error))
        return MuscateProduct(
            candidate_of(where, metadata.name or name, candidate.stem),
            candidate,
            contents,
            metadata,
            self.settings.reflectance,
        )


def _contents(candidate: Candidate, target: Path = Path()) -> FolderContents | ZipContents:
    return contents_of(candidate.path, target, NEEDED, candidate.stem)
