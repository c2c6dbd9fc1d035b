"""What is known of SAFE products that are not there yet."""

from __future__ import annotations

import re
from dataclasses import replace

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.delivery import Delivery, file_of_band
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.sen2cor.delivery import delivery_by_name

_IMAGES = "|".join(
    [
        *("{code}_{resolution}m".format(**file_of_band(band)) for band in SENTINEL2.names),
        f"{SCL}_20m",
    ]
)
_READ = re.compile(
    rf"^(?:MTD_MSI\w+\.xml|MTD_TL\.xml)$|_(?:{_IMAGES})\.(?:jp2|tiff?)$", re.IGNORECASE
)
"""Metadata, and each band at the resolution of the sensor alone."""


def _reads(name: str) -> bool:
    return _READ.search(name) is not None


def delivery_of(family: str) -> Delivery:
    """Return how products are named and which files they have, for a reader of that kind."""
    return replace(
        delivery_by_name(family),
        reads=_reads,
        required=(
            ("MTD_MSIL2A.xml", r"^MTD_MSIL2A\.xml$"),
            ("*_SCL_20m", r"_SCL_20m\.(?:jp2|tiff?)$"),
        ),
        band=r"_{code}_{resolution}m\.(?:jp2|tiff?)$",
    )
