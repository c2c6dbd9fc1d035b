"""The scene classification of Sen2Cor, and which of its classes hide a pixel."""

from __future__ import annotations

from oso_pipeline.imagery.clear import ClearPolicy, ClearRule, refused_bits

SCL = "SCL"
"""Name of the quality asset: a class per pixel of 20 m.

0 no data, 1 saturated or defective, 2 dark area or topographic shadow, 3 cloud shadow,
4 vegetation, 5 bare soil, 6 water, 7 unclassified, 8 cloud of medium probability, 9 cloud of high
probability, 10 thin cirrus, 11 snow.
"""

RESOLUTION_M = 20

HIDDEN = (0, 1, 3, 8, 9, 10)
"""Classes that hide a pixel under ``oso``, as in iota2. Snow is a class of land cover."""

DOUBTFUL = (2, 7)
"""Classes that hide a pixel under ``conservative`` too: terrain shadow, and what Sen2Cor leaves
unclassified, of which a part is thin cloud."""


def rules_of(policy: ClearPolicy) -> tuple[ClearRule, ...]:
    """Return the rules of a policy.

    Raises
    ------
    ValueError
        If the policy lists bits of a cloud mask, which a classification does not have.
    """
    if isinstance(policy, tuple):
        raise ValueError(refused(policy))
    hidden = (*HIDDEN, *DOUBTFUL) if policy == "conservative" else HIDDEN
    return (ClearRule(SCL, values=tuple(sorted(hidden))),)


def refused(policy: ClearPolicy, products: str = "products of Sen2Cor") -> str | None:
    """Return why a policy has no meaning for products with these classes; None where it has one.

    Parameters
    ----------
    policy
        Clear rule of the configuration.
    products
        What the message calls them.
    """
    return refused_bits(policy, f"{products} have a scene classification")


_NAMES = (
    "no data", "saturated or defective", "dark area or relief", "cloud shadow", "vegetation",
    "bare soil", "water", "unclassified", "cloud", "cloud", "cirrus", "snow",
)  # fmt: skip


def meaning(asset: str, value: int) -> str:
    """Return in words why a value of the scene classification hides a pixel.

    Examples
    --------
    >>> meaning(SCL, 3), meaning(SCL, 9)
    ('cloud shadow', 'cloud')
    """
    return _NAMES[value] if value in range(len(_NAMES)) else f"class {value}"
