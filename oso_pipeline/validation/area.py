"""Area-weighted accuracy and areas of classes from a stratified probability sample.

Olofsson et al. 2014, Remote Sensing of Environment 148, 42-57, equations 1 to 11; the strata
are the classes of the map. The standard errors hold for probability samples only. Database
polygons held out from training are not such a sample, whatever they are weighted with. A standard
error is 0 where all units of a class agree, which is no certainty: for a share of few units see
`oso_pipeline.validation.exact_intervals.clopper_pearson`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.validation.confusion import Floats


@dataclass(frozen=True)
class AreaEstimate:
    """Estimates with their standard errors; NaN where a class has no sample.

    Parameters
    ----------
    proportions
        Estimated share of the area in each cell, shape ``[map, reference]``; the sum is 1.
    overall, overall_se
        Overall accuracy.
    user, user_se
        User's accuracy (precision) per class of the map, shape ``[class]``.
    producer, producer_se
        Producer's accuracy (recall) per class of the reference, shape ``[class]``.
    area, area_se
        Area per class of the reference, in the unit of the mapped areas, shape ``[class]``.
    """

    proportions: Floats
    overall: float
    overall_se: float
    user: Floats
    user_se: Floats
    producer: Floats
    producer_se: Floats
    area: Floats
    area_se: Floats


def area_weighted(counts: npt.ArrayLike, mapped: npt.ArrayLike) -> AreaEstimate:
    """Return accuracy and areas weighted by the mapped area of each class.

    Parameters
    ----------
    counts
        Sample units, shape ``[map, reference]``: rows are the map, unlike in `Confusion`.
    mapped
        Area of each class in the map, in any unit, shape ``[class]``.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is negative, or a mapped class has fewer than the
        two sample units that a variance needs.

    Examples
    --------
    >>> estimate = area_weighted([[97, 3], [2, 98]], [10.0, 90.0])
    >>> round(estimate.overall, 3)
    0.979
    """
    units = np.asarray(counts, dtype=np.float64)
    areas = np.asarray(mapped, dtype=np.float64)
    _check(units, areas)
    per_class, total_area = units.sum(axis=1), float(areas.sum())
    weight = areas / total_area
    share = np.divide(
        units, per_class[:, None], out=np.zeros_like(units), where=per_class[:, None] > 0
    )
    cells = weight[:, None] * share
    user = np.where(per_class > 0, np.diagonal(share), np.nan)
    freedom = np.where(per_class > 1, per_class - 1, np.nan)
    # A class that the map lacks has no weight: it adds nothing to any variance.
    user_variance = user * (1 - user) / freedom
    overall_variance = np.nansum(weight**2 * user_variance)
    cell_variance = np.nan_to_num(
        weight[:, None] ** 2 * share * (1 - share) / freedom[:, None], nan=0.0
    )
    proportion = cells.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        producer = np.diagonal(cells) / proportion
    return AreaEstimate(
        proportions=cells,
        overall=float(np.trace(cells)),
        overall_se=float(np.sqrt(overall_variance)),
        user=user,
        user_se=np.sqrt(user_variance),
        producer=producer,
        producer_se=_producer_se(areas, user_variance, share, per_class, producer),
        area=proportion * total_area,
        area_se=np.sqrt(cell_variance.sum(axis=0)) * total_area,
    )


def _producer_se(
    areas: Floats, user_variance: Floats, share: Floats, per_class: Floats, producer: Floats
) -> Floats:
    """Return the standard error of producer's accuracy (equation 7).

    ``V(P_j) = (N_j^2 (1 - P_j)^2 V(U_j) + P_j^2 sum_{i != j} N_i^2 s_ij (1 - s_ij) / (n_i - 1))
    / N_ref_j^2`` with ``s_ij = n_ij / n_i`` and ``N_ref_j = sum_i N_i s_ij``.
    """
    freedom = np.where(per_class > 1, per_class - 1, np.nan)
    variance = areas[:, None] ** 2 * share * (1 - share) / freedom[:, None]
    variance = np.nan_to_num(variance, nan=0.0)
    others = variance.sum(axis=0) - np.diagonal(variance)
    own = areas**2 * (1 - producer) ** 2 * np.nan_to_num(user_variance, nan=0.0)
    reference_area = (areas[:, None] * share).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((own + producer**2 * others) / reference_area**2))


def _check(units: Floats, areas: Floats) -> None:
    if units.ndim != 2 or units.shape[0] != units.shape[1] or areas.shape != units.shape[:1]:
        raise ValueError(f"counts {units.shape} and mapped areas {areas.shape} do not fit")
    if (units < 0).any() or (areas < 0).any() or areas.sum() <= 0:
        raise ValueError("counts and mapped areas must not be negative, and some area mapped")
    few = np.flatnonzero((areas > 0) & (units.sum(axis=1) < 2))
    if few.size:
        raise ValueError(f"mapped classes at {few.tolist()} have fewer than two sample units")
