"""The XML files of simulated MUSCATE products, with the habits of real ones.

Two generations: up to version 1.94 the CLM mask has the nature ``Cloud``, profiles are
``DISTRIBUTED``, encodings are called uint16 whatever the files hold, and a group R3 without
images is listed; later, CLM is ``Detailed_Cloud`` and every bit of MG2 has its own nature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree as ET

from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.scene import NODATA, QUANTIFICATION, R1_BANDS, R2_BANDS

_GROUPS = {"R1": R1_BANDS, "R2": R2_BANDS}
_MG2_NATURES = (
    "Water", "Cloud", "Snow", "Cloud_Shadow", "Topography_Shadow", "Hidden_Surface",
    "Sun_Too_Low", "Tangent_Sun",
)  # fmt: skip
_IMAGE_NATURES = {
    "SRE": "Surface_Reflectance",
    "FRE": "Flat_Reflectance",
    "FRC": "Flat_Reflectance_Composite",
}
_SYNTHESIS_NATURES = {
    "FLG": ("Pixel_Status_Flag", "byte"),
    "DTS": ("Weighted_Average_Dates", "int16"),
    "WGT": ("Pixel_Weight", "int16"),
}


@dataclass(frozen=True)
class ProductFacts:
    """Values of the metadata of a product.

    Parameters
    ----------
    product_id
        Full name, with profile and version.
    tile
        Name of the tile without T.
    acquired
        Date and time of acquisition, UTC.
    platform
        As ``SENTINEL2A``.
    orbit_number
        Absolute orbit.
    grid
        10 m grid of the product.
    sun
        Zenith and azimuth of the sun, degrees.
    cloud_percent, snow_percent
        Quality indices.
    """

    product_id: str
    tile: str
    acquired: datetime
    platform: str
    orbit_number: int
    grid: GeoBox
    sun: tuple[float, float]
    cloud_percent: int
    snow_percent: int

    @property
    def version(self) -> str:
        """Product version as ``2.2``."""
        return self.product_id.rpartition("_V")[2].replace("-", ".")

    @property
    def level(self) -> str:
        """Processing level as ``L2A``."""
        return self.product_id.split("_")[2]

    @property
    def identifier(self) -> str:
        """Name without the version."""
        return self.product_id.rpartition("_V")[0]


def metadata_xml(facts: ProductFacts, content: tuple[str, ...], is_old: bool) -> str:
    """Return the text of ``MTD_ALL.xml``.

    Parameters
    ----------
    facts
        Values of the metadata.
    content
        Kinds of files of the product, as the suffixes of their names (``FRE``, ``CLM``);
        none for a product of metadata only, whose lists are then empty.
    is_old
        The older of the two generations; its text nodes carry white space and its paths
        begin with ``./``.
    """
    root = ET.Element("Muscate_Metadata_Document")
    _identification(root, facts, is_old)
    _characteristics(root, facts, is_old)
    product = _add(root, "Product_Organisation/Muscate_Product")
    _images(_add(product, "Image_List"), facts, content, is_old)
    masks = _add(product, "Mask_List")
    if "FLG" in content:
        _synthesis_masks(masks, facts)
    elif content:
        (_old_masks if is_old else _masks)(masks, facts, content)
    _geoposition(root, facts, is_old)
    _angles(root, facts)
    radiometry = _add(root, "Radiometric_Informations")
    _add(radiometry, "REFLECTANCE_QUANTIFICATION_VALUE", str(QUANTIFICATION))
    _add(radiometry, "WATER_VAPOR_CONTENT_QUANTIFICATION_VALUE", "20")
    _add(radiometry, "AEROSOL_OPTICAL_THICKNESS_QUANTIFICATION_VALUE", "200")
    special = _add(radiometry, "Special_Values_List")
    _add(special, "SPECIAL_VALUE", str(NODATA), name="nodata")
    _add(special, "SPECIAL_VALUE", "0", name="water_vapor_content_nodata")
    _add(special, "SPECIAL_VALUE", "0", name="aerosol_optical_thickness_nodata")
    _quality(root, facts)
    if is_old:
        for element in root.iter():
            if element.text and element.tag in ("PRODUCT_ID", "ULX", "SPECIAL_VALUE", "IMAGE_FILE"):
                element.text = f"\n      {element.text}\n    "
    else:
        ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def flags_xml(facts: ProductFacts, is_valid: bool, with_slope: bool) -> str:
    """Return the text of ``JPI_ALL.xml``: the flags of the processing."""
    root = ET.Element("Muscate_Metadata_Document")
    _add(root, "Dataset_Identification/IDENTIFIER", facts.identifier)
    flags = _add(root, "Processing_Jobs_List/Job/Processing_Flags_And_Modes_List")
    values = {
        "Validity_Flag": "L2VALD" if is_valid else "L2NOTV",
        "Processing_Mode": "STANDARD_MODE",
        "Adjacency_Effects_And_Slope_Correction": str(with_slope).lower(),
        "Cirrus_Correction": "false",
        "CAMS_Processing": "Deactivated",
    }
    for key, value in values.items():
        flag = _add(flags, "Processing_Flags_And_Modes")
        _add(flag, "Key", key)
        _add(flag, "Value", value)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add(parent: ET.Element, path: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Add an element below `parent`, with the elements that `path` names between them."""
    for tag in path.split("/"):
        parent = ET.SubElement(parent, tag)
    parent.text = text
    parent.attrib.update(attributes)
    return parent


def _identification(root: ET.Element, facts: ProductFacts, is_old: bool) -> None:
    identification = _add(root, "Metadata_Identification")
    _add(identification, "METADATA_FORMAT", "METADATA_MUSCATE", version="1.16")
    _add(identification, "METADATA_PROFILE", "DISTRIBUTED" if is_old else "USER")
    _add(identification, "METADATA_INFORMATION", "EXPERT")
    dataset = _add(root, "Dataset_Identification")
    _add(dataset, "IDENTIFIER", facts.identifier)
    _add(dataset, "AUTHORITY", "NONE")
    _add(dataset, "PRODUCER", "SIMULATION")
    _add(dataset, "PROJECT", "SENTINEL2")
    _add(dataset, "GEOGRAPHICAL_ZONE", f"T{facts.tile}", type="Tile")


def _characteristics(root: ET.Element, facts: ProductFacts, is_old: bool) -> None:
    product = _add(root, "Product_Characteristics")
    moment = facts.acquired.isoformat(timespec="milliseconds" if is_old else "microseconds")
    _add(product, "PRODUCT_ID", facts.product_id)
    _add(product, "ACQUISITION_DATE", moment if is_old else f"{moment}Z")
    _add(product, "PRODUCTION_DATE", f"{facts.acquired.year + 1}-01-15T00:00:00.000000Z")
    _add(product, "PRODUCT_VERSION", facts.version)
    _add(product, "PRODUCT_LEVEL", facts.level)
    _add(product, "PLATFORM", facts.platform)
    _add(product, "ORBIT_NUMBER", str(facts.orbit_number), type="Orbit")
    bands = _add(product, "Band_Global_List", count="10")
    for band in SENTINEL2.names:
        _add(bands, "BAND_ID", band)
    groups = _add(product, "Band_Group_List")
    for group, names in _GROUPS.items():
        listed = _add(_add(groups, "Group", group_id=group), "Band_List", count=str(len(names)))
        for name in names:
            _add(listed, "BAND_ID", name)


def _images(
    parent: ET.Element, facts: ProductFacts, content: tuple[str, ...], is_old: bool
) -> None:
    encoding = "uint16" if is_old else "int16"
    before = "./" if is_old else ""
    for kind, nature in _IMAGE_NATURES.items():
        if kind in content:
            files = _node(parent, "Image", nature, encoding)
            for band in SENTINEL2.names:
                name = f"{before}{facts.product_id}_{kind}_{band}.tif"
                _add(files, "IMAGE_FILE", name, band_id=band)
    if "ATB" in content:
        natures = ("Water_Vapor_Content", "Aerosol_Optical_Thickness")
        for number, nature in enumerate(natures, start=1):
            files = _node(parent, "Image", nature, "uint16" if is_old else "byte")
            numbered = {} if is_old else {"band_number": str(number)}
            for group in _GROUPS:
                name = f"{before}{facts.product_id}_ATB_{group}.tif"
                _add(files, "IMAGE_FILE", name, group_id=group, **numbered)


def _node(parent: ET.Element, what: str, nature: str, encoding: str) -> ET.Element:
    """Add an ``Image`` or a ``Mask`` and return its list of files."""
    node = _add(parent, what)
    properties = _add(node, f"{what}_Properties")
    values = {
        "NATURE": nature,
        "FORMAT": "image/tiff",
        "ENCODING": encoding,
        "ENDIANNESS": "LittleEndian",
        "COMPRESSION": "None",
    }
    for tag, value in values.items():
        _add(properties, tag, value)
    return _add(node, f"{what}_File_List")


def _mask_path(facts: ProductFacts, kind: str, group: str) -> str:
    return f"MASKS/{facts.product_id}_{kind}_{group}.tif"


def _masks(parent: ET.Element, facts: ProductFacts, content: tuple[str, ...]) -> None:
    """Add the masks as newer products list them; bit numbers count from 1."""
    plain = {"Detailed_Cloud": ("CLM", None), "Edge": ("EDG", None)}
    bits = {nature: ("MG2", bit) for bit, nature in enumerate(_MG2_NATURES, start=1)}
    if "IAB" in content:
        bits |= {"WVC_Interpolation": ("IAB", 1), "AOT_Interpolation": ("IAB", 2)}
    for nature, (kind, bit) in {**plain, **bits}.items():
        files = _node(parent, "Mask", nature, "byte")
        for group in _GROUPS:
            numbered = {} if bit is None else {"bit_number": str(bit)}
            _add(files, "MASK_FILE", _mask_path(facts, kind, group), group_id=group, **numbered)
    files = _node(parent, "Mask", "Saturation", "byte")
    for group, names in _GROUPS.items():
        for bit, name in enumerate(names, start=1):
            path = _mask_path(facts, "SAT", group)
            _add(files, "MASK_FILE", path, band_id=name, bit_number=str(bit))


def _synthesis_masks(parent: ET.Element, facts: ProductFacts) -> None:
    """Add the masks as monthly syntheses list them: whole files, no bits."""
    for kind, (nature, encoding) in _SYNTHESIS_NATURES.items():
        files = _node(parent, "Mask", nature, encoding)
        for group in _GROUPS:
            _add(files, "MASK_FILE", _mask_path(facts, kind, group), group_id=group)


def _old_masks(parent: ET.Element, facts: ProductFacts, content: tuple[str, ...]) -> None:
    """Add the masks as products of version 1.4 list them."""
    for nature, kind in (("Cloud", "CLM"), ("Cloud_Shadow", "MG2")):
        files = _node(parent, "Mask", nature, "uint16")
        for group in _GROUPS:
            for bit in range(1, 9):
                path = f"./{_mask_path(facts, kind, group)}"
                numbered = {"band_number": "1", "bit_number": str(bit)}
                _add(files, "MASK_FILE", path, group_id=group, **numbered)
    for nature, kind in (("Edge", "EDG"), ("AOT_Interpolation", "IAO")):
        if kind == "EDG" or kind in content:
            files = _node(parent, "Mask", nature, "uint16")
            for group in _GROUPS:
                _add(files, "MASK_FILE", f"./{_mask_path(facts, kind, group)}", group_id=group)
    files = _node(parent, "Mask", "Saturation", "uint16")
    for group, names in _GROUPS.items():
        for bit in range(1, len(names) + 1):
            path = f"./{_mask_path(facts, 'SAT', group)}"
            numbered = {"band_number": "1", "bit_number": str(bit)}
            _add(files, "MASK_FILE", path, group_id=group, **numbered)


def _geoposition(root: ET.Element, facts: ProductFacts, is_old: bool) -> None:
    position = _add(root, "Geoposition_Informations")
    epsg = int(facts.grid.crs.to_epsg())
    system = _add(position, "Coordinate_Reference_System")
    _add(system, "GEO_TABLES", "EPSG", version="8.2")
    horizontal = _add(system, "Horizontal_Coordinate_System")
    _add(horizontal, "HORIZONTAL_CS_TYPE", "PROJECTED")
    _add(horizontal, "HORIZONTAL_CS_NAME", f"WGS 84 / UTM zone {epsg % 100}N")
    _add(horizontal, "HORIZONTAL_CS_CODE", str(epsg))
    raster = _add(position, "Raster_CS")
    _add(raster, "RASTER_CS_TYPE", "CELL")
    _add(raster, "PIXEL_ORIGIN", "0")
    geopositioning = _add(position, "Geopositioning")
    _corners(_add(geopositioning, "Global_Geopositioning"), facts.grid, epsg)
    groups = _add(geopositioning, "Group_Geopositioning_List")
    rows, columns = facts.grid.shape
    steps = {"R1": 10, "R2": 20, "R3": 60} if is_old else {"R1": 10, "R2": 20}
    for group, step in steps.items():
        node = _add(groups, "Group_Geopositioning", group_id=group)
        _add(node, "ULX", f"{facts.grid.affine.c:.0f}")
        _add(node, "ULY", f"{facts.grid.affine.f:.0f}")
        _add(node, "XDIM", str(step))
        _add(node, "YDIM", str(-step))
        _add(node, "NROWS", str(rows * 10 // step))
        _add(node, "NCOLS", str(columns * 10 // step))


def _corners(parent: ET.Element, grid: GeoBox, epsg: int) -> None:
    left, bottom, right, top = grid.boundingbox
    corners = {
        "upperLeft": (left, top),
        "upperRight": (right, top),
        "lowerRight": (right, bottom),
        "lowerLeft": (left, bottom),
        "center": ((left + right) / 2, (top + bottom) / 2),
    }
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    for name, (x, y) in corners.items():
        longitude, latitude = to_degrees.transform(x, y)
        point = _add(parent, "Point", name=name)
        _add(point, "LAT", f"{latitude:.10f}")
        _add(point, "LON", f"{longitude:.10f}")
        _add(point, "X", f"{x:.1f}")
        _add(point, "Y", f"{y:.1f}")


def _angles(root: ET.Element, facts: ProductFacts) -> None:
    """Add the mean angles and the sun's grids of 23 x 23 points, 5 km apart."""
    geometry = _add(root, "Geometric_Informations")
    means = _add(geometry, "Mean_Value_List")
    zenith, azimuth = facts.sun
    sun = _add(means, "Sun_Angles")
    _add(sun, "ZENITH_ANGLE", f"{zenith:.6f}", unit="deg")
    _add(sun, "AZIMUTH_ANGLE", f"{azimuth:.6f}", unit="deg")
    views = _add(means, "Mean_Viewing_Incidence_Angle_List")
    for band in SENTINEL2.names:
        view = _add(views, "Mean_Viewing_Incidence_Angle", band_id=band)
        _add(view, "ZENITH_ANGLE", "7.9", unit="deg")
        _add(view, "AZIMUTH_ANGLE", "104.9", unit="deg")
    grids = _add(geometry, "Angles_Grids_List/Sun_Angles_Grids")
    for name, angle in (("Zenith", zenith), ("Azimuth", azimuth)):
        grid = _add(grids, name)
        _add(grid, "COL_STEP", "5000", unit="m")
        _add(grid, "ROW_STEP", "5000", unit="m")
        values = _add(grid, "Values_List")
        for row in range(23):
            # The last column lies outside the tile: real grids hold NaN there.
            numbers = [f"{angle + 0.04 * row - 0.01 * column:.4f}" for column in range(22)]
            _add(values, "VALUES", " ".join([*numbers, "NaN"]))


def _quality(root: ET.Element, facts: ProductFacts) -> None:
    current = _add(root, "Quality_Informations/Current_Product")
    quality = _add(
        _add(current, "Product_Quality_List", level=f"N{facts.level[1]}"), "Product_Quality"
    )
    source = _add(quality, "Source_Product")
    # Distributed products keep the name they had before distribution here.
    _add(source, "PRODUCT_ID", facts.product_id.replace("_D_", "_C_").replace("_H_", "_C_"))
    indices = _add(quality, "Global_Index_List")
    values = {
        "CloudPercent": str(facts.cloud_percent),
        "SnowPercent": str(facts.snow_percent),
        "RainDetected": "false",
        "HotSpotDetected": "false",
        "SunGlintDetected": "false",
    }
    for name, value in values.items():
        _add(indices, "QUALITY_INDEX", value, name=name)
