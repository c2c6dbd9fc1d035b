"""Reader of Theia/MUSCATE Sentinel-2 L2A products, as folders or zips.

Files belong to a product because they share its stem and its folder, as several products may lie
in one; folders get renamed, and metadata of different versions name masks differently. The
metadata give identity, scale and no data.
"""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.angles import Angles, product_among
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.contract import skip, unreadable
from oso_pipeline.imagery.file_reader import FileReader
from oso_pipeline.imagery.muscate.angles import read_angles
from oso_pipeline.imagery.muscate.delivery import DELIVERY
from oso_pipeline.imagery.muscate.files import DAMAGE, NEEDED, ending, read_flags, read_metadata
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.product import FAMILY, MuscateProduct, candidate_of
from oso_pipeline.imagery.muscate.quality import meaning
from oso_pipeline.imagery.muscate.search import products_at
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.processing import UNSTATED, Processing
from oso_pipeline.imagery.protocol import Candidate, Product, Request


class MuscateReader(FileReader):
    """Finds and opens MUSCATE products.

    Parameters
    ----------
    settings
        Which reflectance is read.
    """

    family = FAMILY
    needed = NEEDED
    folders = NEEDED.folders
    omits_cloudy = True
    delivery = DELIVERY
    meaning = staticmethod(meaning)
    expected = (
        "a name such as SENTINEL2A_20180105-105435-000_L2A_T31TCJ_C_V2-2, or a *_MTD_ALL.xml inside"
    )

    def __init__(self, settings: MuscateSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products at `path`, by the stems of their files or by its name.

        Monthly syntheses have a reader of their own.
        """
        found = products_at(path, NEEDED)
        return tuple(
            candidate_of(path, name, stem) for name, stem in found if not name.is_synthesis
        )

    def named(self, candidate: Candidate) -> Processing:
        """Return what the name tells: the version of the product."""
        name = parse_product_name(candidate.product_id)
        if name is None:
            return UNSTATED
        return Processing(processor_version=".".join(map(str, name.version)))

    def stated(self, candidate: Candidate) -> Processing | None:
        """Return what the flags of the processing tell: CAMS; None where they cannot be read."""
        try:
            return Processing(cams=read_flags(self.contents(candidate)).cams)
        except (*DAMAGE, OSError):
            return None

    def angles(self, acquisition: Acquisition) -> Angles | None:
        """Return the mean angles of a scene; None where the metadata state none."""
        candidate = product_among(self.recognise(acquisition.path), acquisition)
        try:
            return None if candidate is None else read_angles(self.contents(candidate))
        except (*DAMAGE, OSError):
            return None

    def shown(self, contents: Contents) -> str | None:
        """Return the name of a 10 m raster of a product, None without one."""
        ends = ("_FRE_B2.tif", "_SRE_B2.tif", "_CLM_R1.tif")
        return next(filter(None, (ending(contents.sizes, end) for end in ends)), None)

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
        contents = self.contents(candidate, extracted / name.text)
        try:
            metadata = read_metadata(contents)
        except DAMAGE as error:
            return unreadable(candidate, error, request, problems)
        return MuscateProduct(
            candidate_of(where, metadata.name or name, candidate.stem),
            candidate,
            contents,
            metadata,
            self.settings.reflectance,
        )
