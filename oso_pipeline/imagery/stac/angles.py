"""Angles of a STAC item: its fields, or the metadata of the granule where that lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from math import asin, degrees, radians, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery.angles import Angles, angles_of
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError
from oso_pipeline.imagery.sen2cor.angles import parse_granule_angles
from oso_pipeline.imagery.stac.fields import as_finite
from oso_pipeline.imagery.stac.places import place_of

if TYPE_CHECKING:
    from oso_pipeline.imagery.stac.item import Item

_GRANULE = ("granule_metadata", "granule-metadata")
_ORBIT_TO_RADIUS = (6_371.0 + 786.0) / 6_371.0  # height of the satellites, km


def sun_zenith(properties: Mapping[str, Any]) -> float | None:
    """Return the zenith angle of the sun that the fields of an item state, degrees, or None."""
    zenith = as_finite(properties.get("s2:mean_solar_zenith"))
    if zenith is not None:
        return zenith
    elevation = as_finite(properties.get("view:sun_elevation"))
    return None if elevation is None else 90.0 - elevation


def stated_in(properties: Mapping[str, Any]) -> Angles | None:
    """Return the angles that the fields of an item state; None where they do not suffice.

    Of the extension ``view``: the angle of incidence is that at the ground; that off nadir is at
    the satellite, and is converted for a spherical Earth.
    """
    azimuths = ("view:sun_azimuth", "s2:mean_solar_azimuth")
    azimuth = next(
        (a for key in azimuths if (a := as_finite(properties.get(key))) is not None), None
    )
    incidence = as_finite(properties.get("view:incidence_angle"))
    off_nadir = as_finite(properties.get("view:off_nadir"))
    if incidence is None and off_nadir is not None and 0 <= off_nadir < 45:
        incidence = degrees(asin(min(1.0, _ORBIT_TO_RADIUS * sin(radians(off_nadir)))))
    sun = (sun_zenith(properties), azimuth)
    return angles_of(sun, [(incidence, as_finite(properties.get("view:azimuth")))])


def item_angles(item: Item, folder: Path) -> Angles | None:
    """Return the angles of an item whose file lies in `folder`; None where none are stated.

    Raises
    ------
    OSError
        If the metadata of the granule cannot be opened.
    """
    if item.angles is not None:
        return item.angles
    for key in _GRANULE:
        asset = item.assets.get(key)
        path = None if asset is None else place_of(asset.href, folder).path
        if path is not None and path.is_file():
            with open_regular(path) as stream:
                content = stream.read(MAX_BYTES + 1)
            try:
                return parse_granule_angles(content)
            except MetadataError:
                return None
    return None
