"""The files of syntheses, and what is known of syntheses that are not there yet."""

from __future__ import annotations

import re

from oso_pipeline.imagery.delivery import NOWHERE, Delivery
from oso_pipeline.imagery.file_names import AllowList
from oso_pipeline.imagery.l3a.product import candidate_of
from oso_pipeline.imagery.muscate.delivery import described
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.protocol import Candidate

NEEDED = AllowList(
    re.compile(r"_(FRC_B\d{1,2}A?\.tif|FLG_R[12]\.tif|MTD_ALL\.xml)$", re.IGNORECASE),
    folders=("MASKS",),
)
"""The files of a synthesis that are ever read."""


def _named(name: str) -> Candidate | None:
    parts = parse_product_name(name)
    return candidate_of(NOWHERE, parts) if parts and parts.is_synthesis else None


def _described(name: str) -> Candidate | None:
    return _named(name) or described(name)


DELIVERY = Delivery(
    _described,
    _named,
    NEEDED.__contains__,
    (("*_MTD_ALL.xml", r"_MTD_ALL\.xml$"), ("*_FLG_R1.tif", r"_FLG_R1\.tif$")),
    r"_FRC_{band}\.tif$",
)
