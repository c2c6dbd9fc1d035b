"""Parts of the features that learners are compared on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.indices import lacking
from oso_pipeline.core.sensors import sensor_of
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

ALL, BANDS, INDICES, PLACE = "all", "bands", "indices", "xy"


@dataclass(frozen=True)
class FeatureSet:
    """Parts of the features, joined by ``+``.

    Parameters
    ----------
    name
        For example ``all``, ``bands``, ``NDVI+B8`` or ``all+relative+xy``: all features, the
        bands, the indices, single bands and indices by name, families of derived features, the
        coordinates.
    """

    name: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Names between the signs."""
        return tuple(part.strip() for part in self.name.split("+"))

    @property
    def has_place(self) -> bool:
        """Whether the coordinates are among the features."""
        return PLACE in self.parts

    def of(self, samples: LabelledSamples) -> LabelledSamples:
        """Return the samples with these features; nothing of :func:`check_sets` is wrong."""
        found = _with_group(samples, self._group(samples.layout.series))
        return found.with_coordinates() if self.has_place else found

    def faults(self, samples: LabelledSamples) -> list[str]:
        """Return what is wrong with the set on these samples."""
        group = samples.layout.series
        known = (*group.channels, *FAMILIES)
        words = (ALL, BANDS, INDICES, PLACE)
        odd = [part for part in self.parts if part not in (*words, *known)]
        if odd:
            allowed = ", ".join((*words, *known))
            return [f"no feature {', '.join(odd)}; there are {allowed}"]
        if self.has_place and samples.coordinates is None:
            return ["the samples have no coordinates: columns longitude and latitude"]
        if ALL not in self.parts and not self._channels(group):
            return ["no series of a band or index is left"]
        return []

    def _channels(self, group: FeatureGroup) -> tuple[str, ...]:
        """Return the bands and indices of the set, in the order of the layout."""
        wanted = set(self.parts)
        wanted |= set(group.bands) if BANDS in wanted else set()
        wanted |= set(group.indices) if INDICES in wanted else set()
        return tuple(name for name in group.channels if ALL in wanted or name in wanted)

    def _group(self, group: FeatureGroup) -> FeatureGroup:
        """Return the group of the features of the set."""
        channels = self._channels(group)
        bands = tuple(name for name in channels if name in group.bands)
        indices = tuple(name for name in channels if name in group.indices)
        sensor = sensor_of(group.sensor)
        if any(lacking(group.index(name), bands, sensor) for name in indices):
            bands, indices = channels, ()  # without its bands an index is a series like any other
        kept = group.derived if ALL in self.parts else ()
        derived = tuple(name for name in FAMILIES if name in (*kept, *self.parts))
        return replace(group, bands=bands, indices=indices, derived=derived)


def check_sets(sets: Sequence[FeatureSet], samples: LabelledSamples) -> None:
    """Raise ConfigError (``E-LEARNERS-FEATURES``) with every set that does not fit."""
    problems = Problems()
    for one in sets:
        for fault in one.faults(samples):
            problems.error(
                "E-LEARNERS-FEATURES",
                f"--features {one.name}: {fault}",
                None,
                "join parts by +, for example bands, NDVI+B8 or all+xy",
            )
    problems.raise_errors(ConfigError)


def _with_group(samples: LabelledSamples, group: FeatureGroup) -> LabelledSamples:
    """Return the samples with the features of a group; what is not stored is computed."""
    own = samples.layout.series
    layout = FeatureLayout((group,))
    if group == own:
        return samples
    places = {name: number for number, name in enumerate(own.names)}
    if all(name in places for name in group.names):
        features = samples.features[:, _places(places, group)]
    else:
        # The stored values are those of the grid, without gaps: to the kernel they are images.
        filled = samples.features[:, _places(places, replace(group, indices=(), derived=()))]
        values = filled.T.reshape(len(group.days), len(group.bands), len(samples))
        clear = np.ones((len(group.days), len(samples)), np.bool_)
        series = BlockSeries.of(np.ascontiguousarray(values), clear, group.days)
        features = block_features(series, layout)[0].T
    return replace(samples, layout=layout, features=np.ascontiguousarray(features))


def _places(places: Mapping[str, int], group: FeatureGroup) -> npt.NDArray[np.intp]:
    return np.array([places[name] for name in group.names], np.intp)
