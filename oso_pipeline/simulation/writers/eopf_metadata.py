"""The attributes of simulated EOPF products, under the names that real ones have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from odc.geo.geobox import GeoBox

from oso_pipeline.simulation.world.scene import QUANTIFICATION
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts


def root_attributes(facts: SafeFacts) -> dict[str, Any]:
    """Return the attributes of the root: the STAC item, and values of the SAFE metadata."""
    left, bottom, right, top = facts.grid.boundingbox.bbox
    sensed, made = _iso(facts.sensed.replace(microsecond=24_000)), _iso(facts.generated)
    number = f"{facts.orbit_number:06d}"
    properties = {
        "created": made,
        "datetime": None,
        "start_datetime": sensed,
        "end_datetime": sensed,
        "eo:cloud_cover": facts.cloud_percent,
        "eopf:baseline": facts.baseline,
        "eopf:data_take_id": f"G{facts.platform}_{facts.sensed:%Y%m%dT%H%M%S}_{number}_N"
        f"{facts.baseline}",
        "instrument": "msi",
        "mission": "copernicus",
        "platform": f"sentinel-{facts.platform[1:].lower()}",
        "processing:level": "L2A",
        "processing:software": {"Sentinel-2 IPF": " "},
        "product:type": "S02MSIL2A",
        "proj:bbox": [left, bottom, right, top],
        "proj:epsg": facts.grid.crs.to_epsg(),
        "sat:absolute_orbit": facts.orbit_number,
        "sat:relative_orbit": facts.orbit,
    }
    granule = (
        f"{facts.platform}_OPER_MSI_L2A_TL_2APS_{facts.generated:%Y%m%dT%H%M%S}_A{number}"
        f"_T{facts.tile}_N{facts.baseline}"
    )
    return {
        "stac_discovery": {
            "assets": {},
            "id": f"{facts.product_id}.SAFE",
            "links": [],
            "properties": properties,
            "stac_version": "1.0.0",
            "type": "Feature",
        },
        "other_metadata": {
            "AOT_retrieval_model": "SEN2COR_DDV",
            "UTM_zone_identification": granule,
            "eopf_category": "eoproduct",
            "horizontal_CRS_code": f"EPSG:{facts.grid.crs.to_epsg()}",
            "mean_sun_zenith_angle_in_deg_for_all_bands_all_detectors": facts.sun[0],
            "mean_sun_azimuth_angle_in_deg_for_all_bands_all_detectors": facts.sun[1],
        },
    }


def array_attributes(grid: GeoBox, offset: int | None) -> dict[str, Any]:
    """Return the attributes of an array.

    Parameters
    ----------
    grid
        Its grid.
    offset
        Added to the stored numbers before they are scaled; None for what is no reflectance.
    """
    affine, (left, bottom, right, top) = grid.affine, grid.boundingbox.bbox
    attributes: dict[str, Any] = {
        "_ARRAY_DIMENSIONS": ["y", "x"],
        "proj:bbox": [left, bottom, right, top],
        "proj:epsg": grid.crs.to_epsg(),
        "proj:shape": list(grid.shape),
        "proj:transform": list(affine),
        "proj:wkt2": grid.crs.to_wkt(),
    }
    if offset is not None:
        attributes |= {
            "add_offset": offset / QUANTIFICATION,
            "dtype": "<u2",
            "fill_value": 0,
            "scale_factor": 1 / QUANTIFICATION,
            "units": "digital_counts",
            "valid_max": 65_535,
            "valid_min": 1,
        }
    return attributes


def _iso(moment: datetime) -> str:
    return moment.isoformat()
