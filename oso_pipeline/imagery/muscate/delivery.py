"""What is known of MUSCATE products that are not there yet."""

from __future__ import annotations

from oso_pipeline.imagery.delivery import NOWHERE, Delivery
from oso_pipeline.imagery.muscate.files import NEEDED
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.product import candidate_of
from oso_pipeline.imagery.protocol import Candidate


def described(name: str) -> Candidate | None:
    """Return the product of a name, of Landsat 8 and Venus too."""
    parts = parse_product_name(name)
    return None if parts is None else candidate_of(NOWHERE, parts)


def _named(name: str) -> Candidate | None:
    parts = parse_product_name(name)
    if parts is None or parts.level != "L2A" or not parts.platform.startswith("SENTINEL2"):
        return None
    return candidate_of(NOWHERE, parts)


DELIVERY = Delivery(
    described,
    _named,
    NEEDED.__contains__,
    (("*_MTD_ALL.xml", r"_MTD_ALL\.xml$"), ("*_CLM_R1.tif", r"_CLM_R1\.tif$")),
    r"_(?:FRE|SRE)_{band}\.tif$",
)
