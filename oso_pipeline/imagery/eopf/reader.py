"""Reader of Sentinel-2 L2A products of ESA in the Zarr format of EOPF, as folders or zips.

A product is a store whose root has the attributes ``stac_discovery`` and ``other_metadata``. The
metadata are JSON and read here; the pixels are read by GDAL, in place.
"""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.core.commit import digest
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.angles import Angles, product_among
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.contract import skip, unreadable
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.eopf.angles import read_angles
from oso_pipeline.imagery.eopf.arrays import ARRAYS, array_of
from oso_pipeline.imagery.eopf.metadata import parse_metadata
from oso_pipeline.imagery.eopf.product import EopfProduct
from oso_pipeline.imagery.eopf.search import DAMAGE, FAMILY, products_at
from oso_pipeline.imagery.eopf.settings import EopfSettings
from oso_pipeline.imagery.image_kinds import Kind
from oso_pipeline.imagery.metadata_file import MAX_BYTES
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.sen2cor.candidates import LEVEL_1
from oso_pipeline.imagery.sen2cor.classes import SCL, meaning, refused
from oso_pipeline.imagery.sen2cor.delivery import delivery_by_name
from oso_pipeline.imagery.zarr.array import Documents, gdal_name
from oso_pipeline.imagery.zarr.store import ARRAY, ATTRIBUTES, CONSOLIDATED, Store, open_store

_PRODUCTS = "EOPF products"
_NOT_READ = "L1C is not corrected for the atmosphere; Sentinel-2 L2A is read"


class EopfReader:
    """Finds and opens EOPF products.

    Parameters
    ----------
    settings
        Of its kind; there are none.
    """

    family = FAMILY
    delivery = delivery_by_name(FAMILY)
    meaning = staticmethod(meaning)
    cached: Kind = "zarr"
    """Chunks of 5490 x 5490 pixels are decoded whole, so the images are copied first."""
    expected = (
        "a name such as S2A_MSIL2A_20251008T100041_N0511_R122_T32TQM_20251008T122613.zarr, or a "
        "Zarr store with the attribute stac_discovery"
    )

    def __init__(self, settings: EopfSettings) -> None:
        self.settings = settings

    def recognise(self, path: Path) -> tuple[Candidate, ...]:
        """Return the products at `path`."""
        return products_at(path)

    def refuses(self, clear: ClearPolicy) -> str | None:
        """Return why a clear rule has no meaning for these products; None where it has one."""
        return refused(clear, _PRODUCTS)

    def digest(self, candidate: Candidate) -> str:
        """Return a digest of names and sizes of the chunks and of the content of metadata."""
        try:
            store = open_store(candidate.path, candidate.stem)
            sizes = {array: dict(store.sizes(array)) for array in ARRAYS}
            return digest([sizes, _metadata_of(store)])
        except (*DAMAGE, OSError) as error:
            return f"unreadable: {error}"

    def size_bytes(self, candidate: Candidate) -> int:
        """Return how many bytes the chunks of a product have."""
        try:
            store = open_store(candidate.path, candidate.stem)
            return sum(sum(store.sizes(array).values()) for array in ARRAYS)
        except (*DAMAGE, OSError):
            return 0

    def cached_bytes(self, candidate: Candidate, request: Request) -> int:
        """Return how many bytes the chunks have that a request reads."""
        try:
            store = open_store(candidate.path, candidate.stem)
        except (*DAMAGE, OSError):
            return 0
        names = (*request.bands, SCL)
        return sum(sum(store.sizes(array_of(name)).values()) for name in names)

    def peek(self, candidate: Candidate) -> str | None:
        """Return the name by which GDAL opens a 10 m array of a product, None without one."""
        try:
            store = open_store(candidate.path, candidate.stem)
            return gdal_name(store, array_of("B2"))
        except (*DAMAGE, OSError):
            return None

    def angles(self, acquisition: Acquisition) -> Angles | None:
        """Return the mean angles of a scene; None where the product states none."""
        candidate = product_among(self.recognise(acquisition.path), acquisition)
        if candidate is None:
            return None
        try:
            return read_angles(Documents(open_store(candidate.path, candidate.stem)))
        except (*DAMAGE, UnreadableRaster, OSError):
            return None

    def open(
        self, candidate: Candidate, extracted: Path, request: Request, problems: Problems
    ) -> Product | Skipped | None:
        """Read the metadata of a product; None where an error was found."""
        if candidate.token == LEVEL_1:
            return skip(candidate, request.tile, "not_supported", _NOT_READ)
        if reason := refused(request.clear, _PRODUCTS):
            hint = "set `imagery.clear` to oso or conservative"
            problems.error("E-IMAGE-CLEAR", reason, candidate.path, hint)
            return None
        try:
            documents = Documents(open_store(candidate.path, candidate.stem))
            if documents.version != 2:
                found = f"a store in version {documents.version} of Zarr; version 2 is read"
                return skip(candidate, request.tile, "not_supported", found)
            metadata = parse_metadata(documents.attributes())
        except DAMAGE as error:
            return unreadable(candidate, error, request, problems)
        if metadata.level not in (None, "L2A", "Level-2A"):
            found = f"the metadata say {metadata.level}; Sentinel-2 L2A is read"
            return skip(candidate, request.tile, "not_supported", found)
        return EopfProduct(metadata.stated.of(candidate), candidate, documents, metadata)


def _metadata_of(store: Store) -> list[str]:
    """Return the metadata that count, as text."""
    if store.holds(CONSOLIDATED):
        names = [CONSOLIDATED]
    else:
        own = [f"{array}/{name}" for array in ARRAYS for name in (ARRAY, ATTRIBUTES)]
        names = [ATTRIBUTES, *own]
    return [
        store.read(name, MAX_BYTES).decode("latin-1") if store.holds(name) else "" for name in names
    ]
