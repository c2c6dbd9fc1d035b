"""Names and colours of the classes for GIS software."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature

# GDALRATFieldType and GDALRATFieldUsage (gdal.h)
_INTEGER, _REAL, _STRING = "0", "1", "2"
_GENERIC, _PIXEL_COUNT, _NAME, _MIN_MAX = "0", "1", "2", "5"
_RED, _GREEN, _BLUE, _ALPHA = "6", "7", "8", "9"

_LONGEST_CATEGORY_LIST = 256


def attribute_table(nomenclature: Nomenclature, counts: Mapping[int, int]) -> bytes:
    """Return the raster attribute table as a GDAL sidecar (``<raster>.aux.xml``).

    Parameters
    ----------
    nomenclature
        Classes; one row each.
    counts
        Number of pixels by code; 0 where a code is absent.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    if nomenclature.codes[-1] < _LONGEST_CATEGORY_LIST:
        names = ET.SubElement(band, "CategoryNames")
        for code in range(nomenclature.codes[-1] + 1):
            known = nomenclature.by_code.get(code)
            ET.SubElement(names, "Category").text = known.name_en if known else ""
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        ET.SubElement(column, "Name").text = name
        ET.SubElement(column, "Type").text = kind
        ET.SubElement(column, "Usage").text = usage
    for index, one in enumerate(nomenclature.classes):
        row = ET.SubElement(table, "Row", index=str(index))
        for value in _row(one, nomenclature, counts.get(one.code, 0)):
            ET.SubElement(row, "F").text = value
    return _document(root)


def qgis_style(nomenclature: Nomenclature) -> bytes:
    """Return a QGIS layer style (``.qml``): a palette with one entry per class."""
    root = ET.Element("qgis", version="3.28.0", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""},
    )
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for one in nomenclature.classes:
        ET.SubElement(
            palette,
            "paletteEntry",
            {"value": str(one.code), "label": one.name_en, "color": one.colour, "alpha": "255"},
        )
    ET.SubElement(root, "blendMode").text = "0"
    return _document(root)


def percent_style(greatest: int) -> bytes:
    """Return a QGIS layer style for bands of numbers: the first band, from black to white."""
    root = ET.Element("qgis", version="3.28.0", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        {
            "type": "singlebandgray",
            "grayBand": "1",
            "gradient": "BlackToWhite",
            "opacity": "1",
            "alphaBand": "-1",
            "nodataColor": "",
        },
    )
    ET.SubElement(renderer, "rasterTransparency")
    contrast = ET.SubElement(renderer, "contrastEnhancement")
    ET.SubElement(contrast, "minValue").text = "0"
    ET.SubElement(contrast, "maxValue").text = str(greatest)
    ET.SubElement(contrast, "algorithm").text = "StretchToMinimumMaximum"
    ET.SubElement(root, "blendMode").text = "0"
    return _document(root)


_COLUMNS = (
    ("Value", _INTEGER, _MIN_MAX),
    ("Count", _REAL, _PIXEL_COUNT),  # integers of a table end at 2^31, a country does not
    ("Class", _STRING, _NAME),
    ("Class_fr", _STRING, _GENERIC),
    ("Level1", _INTEGER, _GENERIC),
    ("Level1_name", _STRING, _GENERIC),
    ("Red", _INTEGER, _RED),
    ("Green", _INTEGER, _GREEN),
    ("Blue", _INTEGER, _BLUE),
    ("Alpha", _INTEGER, _ALPHA),
)


def _row(one: LandCoverClass, nomenclature: Nomenclature, count: int) -> list[str]:
    parents = {parent.code: parent.name_en for parent in nomenclature.level1_classes}
    level1 = one.level1 if one.level1 is not None else one.code
    return [
        str(one.code),
        str(count),
        one.name_en,
        one.name_fr,
        str(level1),
        parents.get(level1, one.name_en),
        *(str(value) for value in (*one.rgb, 255)),
    ]


def _document(root: ET.Element) -> bytes:
    # No XML declaration: GDAL ignores a sidecar that begins with one.
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    return content + b"\n"
