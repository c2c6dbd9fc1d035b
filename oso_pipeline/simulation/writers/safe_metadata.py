"""The XML files of simulated SAFE products, with the names of elements of their baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from odc.geo.geobox import GeoBox

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.scene import QUANTIFICATION

OFFSET = -1000
"""``BOA_ADD_OFFSET`` of every band since baseline 04.00."""

_OLD_NAMES = {
    "Product_Info>": "L2A_Product_Info>",
    "Product_Image_Characteristics>": "L2A_Product_Image_Characteristics>",
    "QUANTIFICATION_VALUES_LIST>": "L1C_L2A_Quantification_Values_List>",
    "BOA_QUANTIFICATION_VALUE": "L2A_BOA_QUANTIFICATION_VALUE",
    "PRODUCT_URI>": "PRODUCT_URI_2A>",
    "IMAGE_FILE>": "IMAGE_FILE_2A>",
    "TILE_ID": "TILE_ID_2A",
}
"""Names of elements up to baseline 02.06, by those after it."""


@dataclass(frozen=True)
class SafeFacts:
    """Values of the metadata of a SAFE product.

    Parameters
    ----------
    tile
        Name of the tile without T.
    sensed, generated
        Start of the datatake and time of processing, UTC.
    platform
        ``S2A``, ``S2B``, ``S2C``.
    orbit, orbit_number
        Relative and absolute orbit.
    grid
        10 m grid of the product.
    baseline
        Processing baseline, ``05.11``.
    cloud_percent
        Cloud cover.
    sun, view
        Zenith and azimuth of the sun, and of the sensor as seen from the ground, degrees.
    """

    tile: str
    sensed: datetime
    generated: datetime
    platform: str
    orbit: int
    orbit_number: int
    grid: GeoBox
    baseline: str = "05.11"
    cloud_percent: float = 0.0
    sun: tuple[float, float] = (60.0, 160.0)
    view: tuple[float, float] = (7.9, 104.9)

    @property
    def product_id(self) -> str:
        """Name of the product, without ``.SAFE``."""
        return (
            f"{self.platform}_MSIL2A_{_compact(self.sensed)}_N{self.baseline.replace('.', '')}"
            f"_R{self.orbit:03d}_T{self.tile}_{_compact(self.generated)}"
        )

    @property
    def granule(self) -> str:
        """Name of the folder of the granule."""
        return f"L2A_T{self.tile}_A{self.orbit_number:06d}_{_compact(self.sensed)}"

    @property
    def stem(self) -> str:
        """What the names of images begin with."""
        return f"T{self.tile}_{_compact(self.sensed)}"

    @property
    def offset(self) -> int:
        """What is added to the stored numbers before they are scaled."""
        return OFFSET if self.baseline >= "04.00" else 0


def product_xml(facts: SafeFacts, images: list[str]) -> str:
    """Return the text of ``MTD_MSIL2A.xml``; `images` are paths without the end of the name."""
    made, strip = _compact(facts.generated), _compact(facts.sensed)
    station = f"{facts.platform}_OPER_MSI_L2A"
    files = "".join(f"<IMAGE_FILE>{path}</IMAGE_FILE>\n" for path in images)
    offsets = "".join(
        f'<BOA_ADD_OFFSET band_id="{number}">{facts.offset}</BOA_ADD_OFFSET>\n'
        for number in range(13)
    )
    shifted = f"<BOA_ADD_OFFSET_VALUES_LIST>\n{offsets}</BOA_ADD_OFFSET_VALUES_LIST>\n"
    text = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-{15 if facts.offset else 14}.sentinel2.eo.esa.int">
<n1:General_Info>
<Product_Info>
<PRODUCT_START_TIME>{_iso(facts.sensed)}</PRODUCT_START_TIME>
<PRODUCT_URI>{facts.product_id}.SAFE</PRODUCT_URI>
<PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{facts.baseline}</PROCESSING_BASELINE>
<GENERATION_TIME>{_iso(facts.generated)}</GENERATION_TIME>
<Datatake datatakeIdentifier="G{facts.platform}_{strip}_N{facts.baseline}">
<SPACECRAFT_NAME>Sentinel-{facts.platform[1:]}</SPACECRAFT_NAME>
<DATATAKE_SENSING_START>{_iso(facts.sensed)}</DATATAKE_SENSING_START>
<SENSING_ORBIT_NUMBER>{facts.orbit}</SENSING_ORBIT_NUMBER>
</Datatake>
<Granule_List>
<Granule datastripIdentifier="{station}_DS_2BPS_{made}_S{strip}_N{facts.baseline}"
 granuleIdentifier="{station}_TL_2BPS_{made}_A{facts.orbit_number:06d}_T{facts.tile}_N{facts.baseline}"
 imageFormat="JPEG2000">
{files}</Granule>
</Granule_List>
</Product_Info>
<Product_Image_Characteristics>
{_special("NODATA", 0)}{_special("SATURATED", 65535)}<QUANTIFICATION_VALUES_LIST>
<BOA_QUANTIFICATION_VALUE unit="none">{QUANTIFICATION}</BOA_QUANTIFICATION_VALUE>
</QUANTIFICATION_VALUES_LIST>
{shifted if facts.offset else ""}</Product_Image_Characteristics>
</n1:General_Info>
<n1:Quality_Indicators_Info>
<Cloud_Coverage_Assessment>{facts.cloud_percent}</Cloud_Coverage_Assessment>
</n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"""
    return _as_of(facts.baseline, text)


def tile_xml(facts: SafeFacts) -> str:
    """Return the text of ``MTD_TL.xml``."""
    affine, (rows, columns) = facts.grid.affine, facts.grid.shape
    sizes = "".join(
        f'<Size resolution="{r}"><NROWS>{rows * 10 // r}</NROWS><NCOLS>{columns * 10 // r}</NCOLS>'
        f'</Size>\n<Geoposition resolution="{r}"><ULX>{affine.c:.0f}</ULX><ULY>{affine.f:.0f}</ULY>'
        f"<XDIM>{r}</XDIM><YDIM>-{r}</YDIM></Geoposition>\n"
        for r in (10, 20, 60)
    )
    views = "".join(
        f'<Mean_Viewing_Incidence_Angle bandId="{number}">{_direction(facts.view)}'
        "</Mean_Viewing_Incidence_Angle>\n"
        for number in range(13)
    )
    text = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int">
<n1:General_Info>
<TILE_ID>{facts.platform}_OPER_MSI_L2A_TL_2BPS_{_compact(facts.generated)}_A{facts.orbit_number:06d}_T{facts.tile}_N{facts.baseline}</TILE_ID>
</n1:General_Info>
<n1:Geometric_Info>
<Tile_Geocoding>
<HORIZONTAL_CS_CODE>EPSG:{facts.grid.crs.to_epsg()}</HORIZONTAL_CS_CODE>
{sizes}</Tile_Geocoding>
<Tile_Angles>
<Mean_Sun_Angle>{_direction(facts.sun)}</Mean_Sun_Angle>
<Mean_Viewing_Incidence_Angle_List>
{views}</Mean_Viewing_Incidence_Angle_List>
</Tile_Angles>
</n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""
    return _as_of(facts.baseline, text)


def image_code(band: str) -> str:
    """Return a band as file names have it: ``B02`` of ``B2``."""
    return f"B{int(band[1:]):02d}" if band[1:].isdigit() else band


def resolution_m(name: str) -> int:
    """Return the resolution of a band or of ``SCL``, metres."""
    return 20 if name == "SCL" else SENTINEL2.resolution_m(name)


def _as_of(baseline: str, text: str) -> str:
    """Return metadata with the names of elements of a baseline."""
    if baseline <= "02.06":
        for name, old in _OLD_NAMES.items():
            text = text.replace(name, old)
    return text


def _special(name: str, value: int) -> str:
    return (
        f"<Special_Values><SPECIAL_VALUE_TEXT>{name}</SPECIAL_VALUE_TEXT>"
        f"<SPECIAL_VALUE_INDEX>{value}</SPECIAL_VALUE_INDEX></Special_Values>\n"
    )


def _direction(angles: tuple[float, float]) -> str:
    return "".join(
        f'<{name}_ANGLE unit="deg">{angle}</{name}_ANGLE>'
        for name, angle in zip(("ZENITH", "AZIMUTH"), angles, strict=True)
    )


def _compact(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.024Z"
