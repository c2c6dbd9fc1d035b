"""Which pixels of an acquisition are clear: rules on its quality assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

ClearPolicy = Literal["oso", "conservative"] | tuple[int, ...]
"""Clear rule of the configuration: ``oso``, ``conservative``, or the bits of the cloud mask that
count as cloud. The reader of a family turns it into rules."""


@dataclass(frozen=True)
class ClearRule:
    """Values of a quality asset that mask a pixel; by default all values except 0.

    Parameters
    ----------
    asset
        Name of the quality asset.
    bits
        Numbers of the bits that hide a pixel, 0 being the lowest.
    values
        Values that hide a pixel, in place of `bits`.
    needed
        Whether the asset has to be there; without one that is not needed, the rule hides nothing.

    Raises
    ------
    ValueError
        If both bits and values are given.
    """

    asset: str
    bits: tuple[int, ...] | None = None
    values: tuple[int, ...] | None = None
    needed: bool = True

    def __post_init__(self) -> None:
        if self.bits is not None and self.values is not None:
            raise ValueError(f"the rule of {self.asset} names bits and values, expected one")

    def allows(self, quality: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Return where a quality asset lets a pixel count, in its own shape."""
        if self.values is not None:
            return np.isin(quality, self.values, invert=True)
        if self.bits is not None:
            quality = quality & sum(1 << bit for bit in set(self.bits))
        return quality == 0

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON types."""
        content: dict[str, Any] = {"asset": self.asset, "needed": self.needed}
        for name in ("bits", "values"):
            numbers = getattr(self, name)
            if numbers is not None:
                content[name] = list(numbers)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClearRule:
        """Return the rule that :meth:`to_json` wrote."""
        numbers = {name: tuple(content[name]) for name in ("bits", "values") if name in content}
        return cls(content["asset"], needed=content["needed"], **numbers)


def refused_bits(policy: ClearPolicy, products: str) -> str | None:
    """Return why a policy has no meaning for products with classes; None where it has one.

    Parameters
    ----------
    policy
        Clear rule of the configuration.
    products
        What they are and have, for example ``SAFE products have a scene classification``.
    """
    if not isinstance(policy, tuple):
        return None
    bits = ", ".join(map(str, policy))
    return (
        f"imagery.clear lists bits of a cloud mask ({bits}); {products}, whose values are "
        "classes, not bits"
    )


def clear_pixels(
    quality: Mapping[str, npt.NDArray[np.integer]], rules: Iterable[ClearRule]
) -> npt.NDArray[np.bool_]:
    """Return where all rules let a pixel count.

    Parameters
    ----------
    quality
        Quality assets by name, all of one shape.
    rules
        The rules of the acquisition.

    Returns
    -------
    clear
        Boolean, shape of the assets. No data in a band does not show here; see
        :class:`~oso_pipeline.timeseries.reading.reader.BlockReader`.

    Raises
    ------
    ValueError
        If an asset that a rule needs is not given.
    """
    clear = np.ones(next(iter(quality.values())).shape if quality else (), bool)
    for rule in rules:
        if rule.asset in quality:
            clear &= rule.allows(quality[rule.asset])
        elif rule.needed:
            raise ValueError(f"the rules need the quality asset {rule.asset}")
    return clear
