"""What names of ESA's products tell of products that are not there yet."""

from __future__ import annotations

from oso_pipeline.imagery.delivery import NOWHERE, Delivery
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.sen2cor.candidates import LEVEL_1, candidate_of
from oso_pipeline.imagery.sen2cor.names import parse_product_name


def delivery_by_name(family: str) -> Delivery:
    """Return what is known of products of a family whose files have names of their own."""

    def described(name: str) -> Candidate | None:
        parts = parse_product_name(name)
        return None if parts is None else candidate_of(family, NOWHERE, parts)

    def named(name: str) -> Candidate | None:
        found = described(name)
        return None if found is None or found.token == LEVEL_1 else found

    return Delivery(described, named)
