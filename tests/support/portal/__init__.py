"""A portal on loopback that lies: the protocols of the providers, and the faults that they had.

::

    with lying_portal(["geodes"], season(number=3), Mixture.only(Fault.DRIP)) as portal:
        portal.table                  # for `retrieval.providers_file`
        portal.environ                # the keys
        portal.record.good_bytes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.portal.door import Door, Store
from support.portal.exchange import Throttle
from support.portal.faults import HOST, PERMANENT, PROTOCOLS, SEARCH, Fault, Mixture, can_occur
from support.portal.geodes import Geodes
from support.portal.mirror import Mirror
from support.portal.odata import Odata
from support.portal.products import Product, season
from support.portal.record import Record
from support.portal.stac import Planetary, Stac, Theia

_DOORS: Mapping[str, type[Door]] = {
    "geodes": Geodes, "odata": Odata, "earth-search": Stac, "planetary": Planetary, "theia": Theia,
    "mirror": Mirror,
}  # fmt: skip
FAMILIES = {
    "geodes": ("muscate", "l3a"), "odata": ("safe",), "earth-search": ("stac",),
    "planetary": ("stac",), "theia": ("muscate",), "mirror": ("muscate", "l3a", "safe"),
}  # fmt: skip
"""Families of products that a protocol has."""


@dataclass
class Portal:
    """Providers that are open.

    Parameters
    ----------
    doors
        By the protocol they speak, which is their name in the table of providers too.
    record
        What they did.
    store
        Content of the products.
    """

    doors: Mapping[str, Door]
    record: Record
    store: Store
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> dict[str, Any]:
        """Table of providers, with addresses of this machine."""
        return {
            name: door.table() | ({"limits": dict(self.limits)} if self.limits else {})
            for name, door in self.doors.items()
        }

    def write_table(self, path: Path) -> Path:
        """Write the table of providers as YAML."""
        path.write_text(yaml.safe_dump(self.table), encoding="utf-8")
        return path

    @property
    def environ(self) -> dict[str, str]:
        """Variables with the keys that the providers want."""
        return {
            "GEODES_API_KEY": "key-of-the-test",
            "CDSE_USER": "somebody",
            "CDSE_PASSWORD": "password-of-the-test",
            "THEIA_ACCESS_KEY": "access-of-the-test",
            "THEIA_SECRET_KEY": "secret-of-the-test",
        }

    def true_content(self, product: Product) -> bytes:
        """Return an archive as it should be."""
        return self.store.content(product)


@contextmanager
def lying_portal(
    protocols: Sequence[str],
    products: Iterable[Product],
    mixture: Mixture | Mapping[str, Mixture] | None = None,
    *,
    bytes_per_s: float | None = None,
    limits: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Portal]:
    """Open providers on free ports of loopback.

    Parameters
    ----------
    protocols
        Which, of `PROTOCOLS`.
    products
        What they have: each those of the families that it knows.
    mixture
        Faults of all, or of each by its name; none by default.
    bytes_per_s
        For all together.
    limits
        Limits for the table of providers.
    settings
        Other attributes of `Door`, ``hang_s`` for example.
    """
    record, store, throttle = Record(), Store(), Throttle(bytes_per_s)
    wanted = list(products)
    doors: dict[str, Door] = {}
    try:
        for name in protocols:
            faults = mixture.get(name) if isinstance(mixture, Mapping) else mixture
            door = _DOORS[name](name, faults or Mixture(), record, throttle, store, **settings)
            door.products = [one for one in wanted if one.family in FAMILIES[name]]
            door.open()
            doors[name] = door
        for door in doors.values():
            door.moved_to = f"http://localhost:{door.port}"
        yield Portal(doors, record, store, limits or {})
    finally:
        for door in doors.values():
            door.close()


__all__ = [
    "FAMILIES", "HOST", "PERMANENT", "PROTOCOLS", "SEARCH", "Door", "Fault", "Mixture", "Portal",
    "Product", "Record", "can_occur", "lying_portal", "season",
]  # fmt: skip
