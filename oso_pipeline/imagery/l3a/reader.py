"""Reader of monthly syntheses of Sentinel-2 (Theia L3A), as folders or zips.

Names, metadata and layout are those of MUSCATE; bands and flags are of the level's own.
"""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Skipped
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.contract import skip, unreadable
from oso_pipeline.imagery.file_reader import FileReader
from oso_pipeline.imagery.l3a.delivery import DELIVERY, NEEDED
from oso_pipeline.imagery.l3a.product import FAMILY, REFLECTANCE, SynthesisProduct, candidate_of
from oso_pipeline.imagery.l3a.quality import meaning, refused
from oso_pipeline.imagery.l3a.settings import SynthesisSettings
from oso_pipeline.imagery.muscate.files import DAMAGE, ending, read_metadata
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.search import products_at
from oso_pipeline.imagery.protocol import Candidate, Product, Request


class SynthesisReader(FileReader):
    """Finds and opens monthly syntheses.

    Parameters
    ----------
    settings
        Of its kind; there are none.
    """

    family = FAMILY
    needed = NEEDED
    folders = ("MASKS", "DATA")
    composite = True
    delivery = DELIVERY
    meaning = staticmethod(meaning)
    expected = "a name such as SENTINEL2X_20181015-000000-000_L3A_T31TCJ_D_V1-1"

    def __init__(self, settings: SynthesisSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the syntheses at `path`, by the stems of their files or by its name."""
        found = products_at(path, NEEDED)
        return tuple(candidate_of(path, name, stem) for name, stem in found if name.is_synthesis)

    def refuses(self, clear: ClearPolicy) -> str | None:
        """Return why a clear rule has no meaning for these products; None where it has one."""
        return refused(clear)

    def shown(self, contents: Contents) -> str | None:
        """Return the name of a 10 m raster of a product, None without one."""
        return ending(contents.sizes, f"_{REFLECTANCE}_B2.tif")

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the metadata of a product; None where an error was found."""
        if reason := refused(request.clear):
            hint = "set `imagery.clear` to oso or conservative"
            problems.error("E-IMAGE-CLEAR", reason, candidate.path, hint)
            return None
        contents = self.contents(candidate, extracted / candidate.product_id)
        try:
            metadata = read_metadata(contents)
        except DAMAGE as error:
            return unreadable(candidate, error, request, problems)
        name = metadata.name or parse_product_name(candidate.product_id)
        if name is None or not name.is_synthesis:
            found = f"the metadata call it {name.text if name else 'nothing'}; an L3A is read"
            return skip(candidate, request.tile, "not_supported", found)
        stated = candidate_of(candidate.path, name, candidate.stem)
        return SynthesisProduct(stated, candidate, contents, metadata, REFLECTANCE)
