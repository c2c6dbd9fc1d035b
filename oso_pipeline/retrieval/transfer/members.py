"""Which files a product has to have, by its family: what its reader needs of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.retrieval.families import delivery_of

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a product is expected to be.

    Parameters
    ----------
    family, product_id
        Of the offer.
    bands
        Bands that will be read, as the sensor names them.
    """

    family: str
    product_id: str
    bands: tuple[str, ...] = SENTINEL2.names

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return which files are needed and not there; of families of others, none."""
        delivery = delivery_of(self.family)
        return () if delivery is None else delivery.missing(names, self.bands)

    def other_product(self, names: Iterable[str]) -> str | None:
        """Return the name of the product that the files belong to, if that is another one."""
        delivery = delivery_of(self.family)
        own = None if delivery is None else delivery.named(self.product_id)
        if delivery is None or own is None:
            return None
        texts = dict.fromkeys(part for name in names for part in _texts(name))
        found = {text: delivery.named(text) for text in texts if delivery.described(text)}
        is_there = any(one and one.observation == own.observation for one in found.values())
        return None if is_there else next(iter(found), None)


def listed(missing: tuple[str, ...]) -> str:
    """Return missing files as a text."""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return ", ".join(missing[:_SHOWN]) + more


def _texts(name: str) -> Iterable[str]:
    """Yield what may be the name of a product in the path of a file."""
    parts = PurePosixPath(name).parts
    yield from parts[:-1]
    if match := re.match(r".+_V\d+-\d+(?=_)", parts[-1] if parts else ""):
        yield match[0]
