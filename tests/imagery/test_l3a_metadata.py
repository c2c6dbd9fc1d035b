"""Metadata of monthly syntheses, as the program that makes them (WASP) writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from support.l3a_factory import OCTOBER, synthesis

from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.muscate.metadata import parse_metadata
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts, metadata_xml

# The order of elements, natures and values of ProductCreatorSentinelMuscate.cpp; grid of 31TCJ.
AS_WASP_WRITES = f"""<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<Muscate_Metadata_Document xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Metadata_Identification>
  <METADATA_FORMAT version="1.0">METADATA_MUSCATE</METADATA_FORMAT>
  <METADATA_PROFILE>GENERIC</METADATA_PROFILE>
 </Metadata_Identification>
 <Product_Characteristics>
  <PRODUCT_ID>{OCTOBER}</PRODUCT_ID>
  <ACQUISITION_DATE>2018-10-15T00:00:00.000Z</ACQUISITION_DATE>
  <PRODUCT_VERSION>1.1</PRODUCT_VERSION>
  <PRODUCT_LEVEL>L3A</PRODUCT_LEVEL>
  <PLATFORM>SENTINEL2X</PLATFORM>
  <ORBIT_NUMBER type="Orbit">-1</ORBIT_NUMBER>
 </Product_Characteristics>
 <Product_Organisation><Muscate_Product>
  <Image_List><Image>
   <Image_Properties><NATURE>Flat_Reflectance_Composite</NATURE></Image_Properties>
   <Image_File_List>
    <IMAGE_FILE band_id="B2">{OCTOBER}_FRC_B2.tif</IMAGE_FILE>
    <IMAGE_FILE band_id="B3">{OCTOBER}_FRC_B3.tif</IMAGE_FILE>
   </Image_File_List>
  </Image></Image_List>
  <Mask_List><Mask>
   <Mask_Properties><NATURE>Pixel_Status_Flag</NATURE><ENCODING>byte</ENCODING></Mask_Properties>
   <Mask_File_List>
    <MASK_FILE group_id="R1">MASKS/{OCTOBER}_FLG_R1.tif</MASK_FILE>
   </Mask_File_List>
  </Mask></Mask_List>
 </Muscate_Product></Product_Organisation>
 <Geoposition_Informations>
  <Coordinate_Reference_System><Horizontal_Coordinate_System>
   <HORIZONTAL_CS_CODE>32631</HORIZONTAL_CS_CODE>
  </Horizontal_Coordinate_System></Coordinate_Reference_System>
  <Geopositioning><Group_Geopositioning_List><Group_Geopositioning group_id="R1">
   <ULX>300000</ULX><ULY>4900020</ULY><XDIM>10</XDIM><YDIM>-10</YDIM>
   <NROWS>10980</NROWS><NCOLS>10980</NCOLS>
  </Group_Geopositioning></Group_Geopositioning_List></Geopositioning>
 </Geoposition_Informations>
 <Radiometric_Informations>
  <REFLECTANCE_QUANTIFICATION_VALUE>10000</REFLECTANCE_QUANTIFICATION_VALUE>
  <Special_Values_List><SPECIAL_VALUE name="nodata">-10000</SPECIAL_VALUE></Special_Values_List>
 </Radiometric_Informations>
 <Quality_Informations>
  <Current_Product><Product_Quality_List level="N3"><Product_Quality>
   <Global_Index_List><QUALITY_INDEX name="CloudPercent">7</QUALITY_INDEX></Global_Index_List>
  </Product_Quality></Product_Quality_List></Current_Product>
 </Quality_Informations>
</Muscate_Metadata_Document>
"""


def test_metadata_as_wasp_writes_them() -> None:
    found = parse_metadata(AS_WASP_WRITES.encode())
    assert found.name == parse_product_name(OCTOBER)
    assert found.acquired == datetime(2018, 10, 15, tzinfo=UTC)
    assert (found.scale, found.nodata, found.epsg) == (10_000, "-10000", 32_631)
    assert (found.cloud_percent, found.sun_zenith_deg) == (7, None)
    assert (found.groups["R1"].rows, found.groups["R1"].ulx) == (10_980, 300_000)


def test_the_simulation_states_the_same(tmp_path: Path) -> None:
    acquired = datetime(2018, 10, 15)
    grid = Tile("31TCJ").geobox(10_980)
    made = ProductFacts(OCTOBER, "31TCJ", acquired, "SENTINEL2X", -1, grid, (50.0, 160.0), 7, 0)
    text = metadata_xml(made, ("FRC", "FLG", "DTS", "WGT"), is_old=False)
    wasp, ours = (parse_metadata(one.encode()) for one in (AS_WASP_WRITES, text))
    for trait in ("name", "acquired", "epsg", "scale", "nodata", "cloud_percent", "orbit"):
        assert getattr(ours, trait) == getattr(wasp, trait), trait
    assert ours.groups["R1"] == wasp.groups["R1"]
    for said in ("Flat_Reflectance_Composite", "Pixel_Status_Flag", 'level="N3"', "_FLG_R2.tif"):
        assert said in text
    assert "Detailed_Cloud" not in text


def test_which_names_are_syntheses() -> None:
    for platform in ("2A", "2B", "2C", "2X"):
        name = parse_product_name(OCTOBER.replace("2X", platform))
        assert name is not None
        assert name.is_synthesis
    for other in (OCTOBER.replace("L3A", "L2A"), "VENUS-XS_20180115-000000-000_L3A_ARM_D_V1-0"):
        name = parse_product_name(other)
        assert name is not None
        assert not name.is_synthesis
    assert parse_metadata(synthesis().metadata().encode()).name == parse_product_name(OCTOBER)
