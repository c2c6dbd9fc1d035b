"""The features of a pixel: which they are, how they are named, in which order they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.indices import Index, index_named, lacking
from oso_pipeline.core.sensors import SENTINEL2, sensor_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from oso_pipeline.config.model import Config


@dataclass(frozen=True)
class FeatureGroup:
    """The features that come from one sensor or one static source.

    For each date all bands, then each index for all dates, as in the reference chain of 2016; then
    each family of derived features for all channels, which are the bands and the indices.

    Parameters
    ----------
    sensor
        Name of the sensor, or of the source of what is static.
    bands
        Bands in their order, for example ``("B2", "B3")``.
    dates
        Dates of the grid, ascending; None for bands that have no date.
    indices
        Names of `core.indices.INDICES` or of `defined`, in their order.
    derived
        Names of `core.families.FAMILIES`, in their order.
    defined
        Those of the indices that are defined by a formula.

    Raises
    ------
    ValueError
        If there is no band or date, the dates do not ascend, a name occurs twice, an index
        is unknown, lacks a band or has no date, or a family is unknown or has no date.
    """

    sensor: str
    bands: tuple[str, ...]
    dates: tuple[date, ...] | None
    indices: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    defined: tuple[Index, ...] = ()

    def __post_init__(self) -> None:
        if not self.sensor.isalnum():  # the names of features join it to others by underscores
            raise ValueError(f"the name of a sensor holds letters and digits, not {self.sensor!r}")
        if not self.bands or self.dates == ():
            raise ValueError("a group of features needs at least one band and one date")
        if any(b <= a for a, b in pairwise(self.dates or ())):
            raise ValueError("the dates of a group of features must ascend")
        for names in (self.bands, self.indices, self.derived):
            if len(set(names)) != len(names):
                raise ValueError(f"a name occurs twice in {', '.join(names)}")
        for name in (*self.indices, *self.derived):
            if self.dates is None:
                raise ValueError(f"{name} needs bands with dates, {self.sensor} has none")
        for name in self.derived:
            if name not in FAMILIES:
                raise ValueError(f"unknown derived features {name!r}, known: {', '.join(FAMILIES)}")
        for name in self.indices:
            if missing := lacking(self.index(name), self.bands, sensor_of(self.sensor)):
                raise ValueError(f"{name} needs {', '.join(missing)} among the bands")

    def index(self, name: str) -> Index:
        """Return one of the indices; ValueError if there is none of that name."""
        return index_named(name, self.defined)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature within the group, for example ``B2_20180101``."""
        if self.dates is None:
            return self.bands
        stamps = tuple(f"{day:%Y%m%d}" for day in self.dates)
        reflectances = tuple(f"{band}_{stamp}" for stamp in stamps for band in self.bands)
        indices = tuple(f"{name}_{stamp}" for name in self.indices for stamp in stamps)
        families = [FAMILIES[name] for name in self.derived]
        derived = (
            name
            for family in families
            for channel in self.channels
            for name in family.columns(channel, stamps)
        )
        return (*reflectances, *indices, *derived)

    @property
    def channels(self) -> tuple[str, ...]:
        """The bands, then the indices."""
        return self.bands + self.indices

    @property
    def size(self) -> int:
        """Number of features."""
        if self.dates is None:
            return len(self.bands)
        n_dates = len(self.dates)
        rows = sum(FAMILIES[name].rows(n_dates) for name in self.derived)
        return len(self.channels) * (n_dates + rows)

    @property
    def days(self) -> npt.NDArray[np.int32]:
        """The dates as days since 1970-01-01; none for what is static."""
        return days_since_epoch(self.dates or ())

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON types, without its sensor."""
        dates = None if self.dates is None else [day.isoformat() for day in self.dates]
        content = {"bands": list(self.bands), "dates": dates, "indices": list(self.indices)}
        content |= {"derived": list(self.derived)} if self.derived else {}
        formulas = {one.name: {"formula": one.formula, "scale": one.scale} for one in self.defined}
        return content | ({"expressions": formulas} if formulas else {})

    @classmethod
    def from_json(cls, sensor: str, content: Mapping[str, Any]) -> FeatureGroup:
        """Return the group that :meth:`to_json` wrote."""
        days = content["dates"]
        dates = None if days is None else tuple(date.fromisoformat(day) for day in days)
        indices, derived = (tuple(content.get(key, ())) for key in ("indices", "derived"))
        formulas = content.get("expressions", {}).items()
        defined = tuple(Index.defined(name, one["formula"], one["scale"]) for name, one in formulas)
        return cls(sensor, tuple(content["bands"]), dates, indices, derived, defined)


@dataclass(frozen=True)
class FeatureLayout:
    """Meaning of the rows of a feature array: groups of features, one after the other.

    A model stores its layout and refuses another, so the order is part of the contract. The
    names of a single group of Sentinel-2 stand alone; those of any other layout begin with the
    sensor, ``sentinel1_VV_20180101``.

    Parameters
    ----------
    groups
        At least one, of different sensors.

    Raises
    ------
    ValueError
        If there is no group, or two are of one sensor.

    Examples
    --------
    >>> days = date(2018, 1, 1), date(2018, 1, 11)
    >>> layout = FeatureLayout.optical(("B4", "B8"), days, ("NDVI",))
    >>> layout.names[:3], layout.names[-1], layout.size
    (('B4_20180101', 'B8_20180101', 'B4_20180111'), 'NDVI_20180111', 6)
    """

    groups: tuple[FeatureGroup, ...]

    def __post_init__(self) -> None:
        sensors = [group.sensor for group in self.groups]
        if not sensors:
            raise ValueError("a layout needs at least one group of features")
        if len(set(sensors)) != len(sensors):
            raise ValueError(f"two groups are of one sensor: {', '.join(sensors)}")

    @classmethod
    def optical(
        cls,
        bands: tuple[str, ...],
        dates: tuple[date, ...],
        indices: tuple[str, ...] = (),
        derived: tuple[str, ...] = (),
        defined: tuple[Index, ...] = (),
    ) -> FeatureLayout:
        """Return the layout of one group of Sentinel-2."""
        return cls((FeatureGroup(SENTINEL2.name, bands, dates, indices, derived, defined),))

    @classmethod
    def of(cls, config: Config) -> FeatureLayout:
        """Return the layout of the configuration; it does not depend on the images."""
        features = config.features
        names, bands = features.index_names, config.imagery.bands
        dates = config.season.grid.dates
        return cls.optical(bands, dates, names, features.derived, features.defined)

    def on(self, dates: tuple[date, ...]) -> FeatureLayout:
        """Return the same features on other dates; for layouts of one group with dates."""
        return FeatureLayout((replace(self.series, dates=dates),))

    @property
    def series(self) -> FeatureGroup:
        """The only group, whose series the kernels fill and compute.

        Raises
        ------
        ValueError
            If there are more groups, or it has no dates: the kernels cannot compute that.
        """
        (group, *others) = self.groups
        if others or group.dates is None:
            found = ", ".join(
                f"{g.sensor} ({'static' if g.dates is None else 'dated'})" for g in self.groups
            )
            raise ValueError(
                f"the kernels compute one group of features with dates, the layout has {found}"
            )
        return group

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature, for example ``B2_20180101`` or ``NDVI_20180101``."""
        if self._is_plain:
            return self.groups[0].names
        return tuple(f"{group.sensor}_{name}" for group in self.groups for name in group.names)

    @property
    def size(self) -> int:
        """Number of features."""
        return sum(group.size for group in self.groups)

    def to_json(self) -> dict[str, Any]:
        """Return the layout as JSON types."""
        if self._is_plain:
            return self.groups[0].to_json()
        return {"groups": [{"sensor": g.sensor, **g.to_json()} for g in self.groups]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FeatureLayout:
        """Return the layout that :meth:`to_json` wrote."""
        if "groups" not in content:
            return cls((FeatureGroup.from_json(SENTINEL2.name, content),))
        return cls(tuple(FeatureGroup.from_json(g["sensor"], g) for g in content["groups"]))

    @property
    def _is_plain(self) -> bool:
        """Whether names and JSON are those of a single series of Sentinel-2, as ever."""
        (group, *others) = self.groups
        return not others and group.sensor == SENTINEL2.name and group.dates is not None
