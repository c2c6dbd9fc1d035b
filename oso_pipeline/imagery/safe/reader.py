"""Reader of Sentinel-2 L2A products of Sen2Cor in the SAFE format, as folders or zips.

The metadata give identity, scale, offset per band and special values. Images are found by the
ends of their names, since folders get renamed or cut and their layout differs between baselines.
"""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.angles import Angles, product_among
from oso_pipeline.imagery.archive import ArchiveError, Contents
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.contract import skip, unreadable
from oso_pipeline.imagery.file_reader import FileReader
from oso_pipeline.imagery.image_kinds import Kind, kind_of
from oso_pipeline.imagery.processing import UNSTATED, Processing
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.safe.delivery import delivery_of
from oso_pipeline.imagery.safe.files import DAMAGE, NEEDED, image_file, read_angles, read_metadata
from oso_pipeline.imagery.safe.product import SafeProduct
from oso_pipeline.imagery.safe.search import (
    FAMILY,
    SINERGISE,
    products_at,
)
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.sen2cor.candidates import LEVEL_1
from oso_pipeline.imagery.sen2cor.classes import RESOLUTION_M, SCL, meaning, refused
from oso_pipeline.imagery.sen2cor.names import parse_product_name

_NOT_READ = {
    LEVEL_1: "L1C is not corrected for the atmosphere; Sentinel-2 L2A is read",
    SINERGISE: "the layout of the AWS archive (tileInfo.json) states no scale and no offset; "
    "fetch the SAFE product",
}


class SafeReader(FileReader):
    """Finds and opens SAFE products.

    Parameters
    ----------
    settings
        Of its kind; there are none.
    """

    family = FAMILY
    cached: Kind = "jp2"
    needed = NEEDED
    delivery = delivery_of(FAMILY)
    meaning = staticmethod(meaning)
    expected = (
        "a name such as S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE, or an "
        "MTD_MSIL2A.xml inside"
    )

    def __init__(self, settings: SafeSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products at `path`."""
        return products_at(path)

    def named(self, candidate: Candidate) -> Processing:
        """Return what the name tells: the processing baseline."""
        name = parse_product_name(candidate.product_id)
        if name is None or name.baseline is None:
            return UNSTATED
        major, minor = name.baseline
        return Processing(baseline=f"{major:02d}.{minor:02d}")

    def refuses(self, clear: ClearPolicy) -> str | None:
        """Return why a clear rule has no meaning for these products; None where it has one."""
        return refused(clear, "SAFE products")

    def angles(self, acquisition: Acquisition) -> Angles | None:
        """Return the mean angles of a scene; None where the metadata state none."""
        candidate = product_among(self.recognise(acquisition.path), acquisition)
        try:
            return None if candidate is None else read_angles(self.contents(candidate))
        except (*DAMAGE, OSError):
            return None

    def shown(self, contents: Contents) -> str | None:
        """Return the name of a 10 m raster of a product, None without one."""
        return image_file(contents, "B2", 10)

    def cached_bytes(self, candidate: Candidate, request: Request) -> int:
        """Return the size of the JPEG 2000 files that are read of a product."""
        try:
            contents = self.contents(candidate)
            images = [image_file(contents, b, SENTINEL2.resolution_m(b)) for b in request.bands]
            images.append(image_file(contents, SCL, RESOLUTION_M))
            return sum(contents.sizes[one] for one in images if one and kind_of(one) == "jp2")
        except (ArchiveError, OSError):
            return 0

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the metadata of a product; None where an error was found."""
        if candidate.token:
            return skip(candidate, request.tile, "not_supported", _NOT_READ[candidate.token])
        if reason := refused(request.clear, "SAFE products"):
            hint = "set `imagery.clear` to oso or conservative"
            problems.error("E-IMAGE-CLEAR", reason, candidate.path, hint)
            return None
        contents = self.contents(candidate, extracted / candidate.product_id)
        try:
            metadata = read_metadata(contents)
        except DAMAGE as error:
            return unreadable(candidate, error, request, problems)
        if len(metadata.tiles) > 1:
            found = f"a product of several granules ({', '.join(metadata.tiles)}); one is read"
            return skip(candidate, request.tile, "not_supported", found)
        if metadata.level not in (None, "Level-2A", "Level-2Ap"):
            found = f"the metadata say {metadata.level}; Sentinel-2 Level-2A is read"
            return skip(candidate, request.tile, "not_supported", found)
        return SafeProduct(metadata.stated.of(candidate), candidate, contents, metadata)
