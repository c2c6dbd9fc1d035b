"""What the readers know of products that are not there yet, by family."""

from __future__ import annotations

from functools import cache

from oso_pipeline.core.plugins import plugins
from oso_pipeline.imagery.delivery import Delivery


def delivery_of(family: str) -> Delivery | None:
    """Return how products of a family are named; None where no reader says."""
    return _by_family().get(family)


def deliveries() -> tuple[Delivery, ...]:
    """Return that of all families."""
    return tuple(_by_family().values())


@cache
def _by_family() -> dict[str, Delivery]:
    readers = {kind: plugin.load() for kind, plugin in plugins("readers").items()}
    found = ((kind, getattr(reader, "delivery", None)) for kind, reader in readers.items())
    return {family: delivery for family, delivery in found if isinstance(delivery, Delivery)}
