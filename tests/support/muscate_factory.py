"""Writes tiny MUSCATE products for tests, faithful or with one fault.

Independent of the package's own simulation, so that reader and writer cannot agree on a
common mistake: names and contents follow the published format.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

BANDS_10M = ("B2", "B3", "B4", "B8")
MASKS = tuple(f"{m}_{r}" for m in ("CLM", "EDG", "SAT", "MG2") for r in ("R1", "R2"))
BANDS_20M = ("B5", "B6", "B7", "B8A", "B11", "B12")
_SCALE = "REFLECTANCE_QUANTIFICATION_VALUE"
ORIGINS = {  # published upper-left corners
    "30TYP": (32630, 699960, 4900020),
    "31TCJ": (32631, 300000, 4900020),
    "32TNM": (32632, 499980, 4700040),
}


@dataclass
class Muscate:
    """What to write. Every attribute may be changed to make a variant or a fault.

    `size` is the number of rows and columns at 10 m; `values` overrides the value of bands,
    `mask_values` that of masks by the first letters of their names; `date` replaces the
    acquisition date in the metadata.
    """

    name: str = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"
    size: int = 16
    kinds: tuple[str, ...] = ("FRE",)
    bands: tuple[str, ...] = BANDS_10M + BANDS_20M
    masks: tuple[str, ...] = tuple(
        f"{m}_{r}" for m in ("CLM", "EDG", "SAT", "MG2") for r in ["R1", "R2"]
    )
    scale: str | None = "10000"
    nodata: str | None = "-10000"
    dtype: str = "int16"
    values: Mapping[str, float] = field(default_factory=dict)
    mask_values: Mapping[str, int] = field(default_factory=dict)
    profile: Mapping[str, object] = field(default_factory=dict)
    offset_m: tuple[float, float] = (0.0, 0.0)
    epsg: int | None = None
    xml_epsg: int | None = None
    date: str | None = None
    valid: bool = True
    cloud_percent: str = "12"
    orbit: str = "13204"
    sun_zenith: str = "69.25"
    cams: str | None = None

    @property
    def tile(self) -> str:
        return self.name.split("_")[3][1:]

    @property
    def transform(self) -> Affine:
        _, x, y = ORIGINS[self.tile]
        return Affine(10, 0, x + self.offset_m[0], 0, -10, y + self.offset_m[1])

    def write(self, parent: Path, folder: str | None = None) -> Path:
        """Write the product below `parent`, in a folder of its name or of another."""
        home = parent / (folder or self.name)
        (home / "MASKS").mkdir(parents=True)
        (home / "DATA").mkdir()
        for kind in self.kinds if self.valid else ():
            for band in self.bands:
                value = self.values.get(band, 500)
                self._raster(home / f"{self.name}_{kind}_{band}.tif", band in BANDS_20M, value)
        for mask in self.masks if self.valid else ():
            path = home / "MASKS" / f"{self.name}_{mask}.tif"
            self._raster(path, mask.endswith("R2"), self.mask_values.get(mask[:3], 0), "uint8")
        (home / f"{self.name}_MTD_ALL.xml").write_text(self.metadata(), encoding="utf-8")
        flag = "L2VALD" if self.valid else "L2NOTV"
        flags = {"Validity_Flag": flag} | ({"CAMS_Processing": self.cams} if self.cams else {})
        texts = (
            f"<Processing_Flags_And_Modes><Key>{key}</Key><Value>\n{value}</Value>"
            "</Processing_Flags_And_Modes>"
            for key, value in flags.items()
        )
        (home / "DATA" / f"{self.name}_JPI_ALL.xml").write_text(
            f"<Doc>{''.join(texts)}</Doc>", encoding="utf-8"
        )
        return home

    def write_zip(self, parent: Path, compression: int = zipfile.ZIP_STORED) -> Path:
        """Write the product as a zip with its folder on top."""
        home = self.write(parent / "unzipped")
        archive = parent / f"{self.name}.zip"
        with zipfile.ZipFile(archive, "w", compression) as stream:
            for path in sorted(home.rglob("*")):
                if path.is_file():
                    stream.write(path, path.relative_to(home.parent))
        shutil.rmtree(home.parent)
        return archive

    def metadata(self) -> str:
        """Return the metadata file, with the line breaks and extras that real ones have."""
        plat, moment, level, zone, _profile = self.name.split("_")[:5]
        day = f"{moment[:4]}-{moment[4:6]}-{moment[6:8]}"
        date = self.date or f"{day}T{moment[9:11]}:{moment[11:13]}:{moment[13:15]}.{moment[16:19]}Z"
        epsg, x, y = ORIGINS[self.tile]
        groups = "".join(
            f'<Group_Geopositioning group_id="{group}"><NROWS>{self.size * 10 // step}</NROWS>'
            f"<NCOLS> {self.size * 10 // step}\n</NCOLS><ULX>{x + self.offset_m[0]}</ULX>"
            f"<ULY>{y + self.offset_m[1]}</ULY><XDIM>{step}</XDIM><YDIM>-{step}</YDIM>"
            "</Group_Geopositioning>"
            for group, step in (("R1", 10), ("R2", 20), ("R3", 60))
        )
        images = "".join(
            f'<IMAGE_FILE band_id="{b}">./{self.name}_{k}_{b}.tif\n</IMAGE_FILE>'
            for k in self.kinds
            for b in self.bands
        )
        images = f"<Image><Image_File_List>{images}</Image_File_List></Image>" * self.valid
        scale = f"<{_SCALE}>\n {self.scale}\n</{_SCALE}>" if self.scale else ""
        nodata = (
            f'<SPECIAL_VALUE name="water_vapor_nodata">0</SPECIAL_VALUE>'
            f'<SPECIAL_VALUE name="nodata"> {self.nodata} </SPECIAL_VALUE>'
            if self.nodata
            else ""
        )
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<Muscate_Metadata_Document>
 <Quality_Informations><Current_Product><Product_Quality_List level="N2"><Product_Quality>
  <Source_Product>
   <PRODUCT_ID>SENTINEL2A_19990101-000000-000_L1C_T01AAA_C_V0-1</PRODUCT_ID>
  </Source_Product>
  <QUALITY_INDEX name="CloudPercent"> {self.cloud_percent}</QUALITY_INDEX>
 </Product_Quality></Product_Quality_List></Current_Product></Quality_Informations>
 <Product_Characteristics>
  <PRODUCT_ID>
   {self.name}
  </PRODUCT_ID><ACQUISITION_DATE>{date}</ACQUISITION_DATE>
  <PRODUCT_LEVEL>{level}</PRODUCT_LEVEL><PLATFORM>{plat}</PLATFORM>
  <ORBIT_NUMBER type="Orbit"> {self.orbit} </ORBIT_NUMBER>
 </Product_Characteristics>
 <Dataset_Identification>
  <GEOGRAPHICAL_ZONE type="Tile">{zone}</GEOGRAPHICAL_ZONE>
 </Dataset_Identification>
 <Product_Organisation><Muscate_Product><Image_List>{images}</Image_List><Mask_List/></Muscate_Product></Product_Organisation>
 <Geoposition_Informations><Coordinate_Reference_System><Horizontal_Coordinate_System>
  <HORIZONTAL_CS_NAME>WGS 84 / UTM zone 32S</HORIZONTAL_CS_NAME>
  <HORIZONTAL_CS_CODE>{self.xml_epsg or epsg}</HORIZONTAL_CS_CODE>
 </Horizontal_Coordinate_System></Coordinate_Reference_System>
 <Geopositioning><Group_Geopositioning_List>{groups}</Group_Geopositioning_List></Geopositioning>
 </Geoposition_Informations>
 <Geometric_Informations><Mean_Value_List><Sun_Angles>
  <ZENITH_ANGLE unit="deg"> {self.sun_zenith}
  </ZENITH_ANGLE>
 </Sun_Angles></Mean_Value_List></Geometric_Informations>
 <Radiometric_Informations>{scale}<Special_Values_List>{nodata}</Special_Values_List></Radiometric_Informations>
</Muscate_Metadata_Document>
"""

    def _raster(self, path: Path, coarse: bool, value: float, dtype: str | None = None) -> None:
        factor = 2 if coarse else 1
        dtype = dtype or self.dtype
        size = self.size // factor
        tag = {"nodata"} if dtype == "uint8" else set()  # only images carry the tag
        profile = {key: value for key, value in self.profile.items() if key not in tag}
        write_raster(
            path,
            np.full((size, size), value, dtype),
            Affine(10 * factor, 0, self.transform.c, 0, -10 * factor, self.transform.f),
            self.epsg or ORIGINS[self.tile][0],
            **profile,
        )


def write_raster(
    path: Path,
    values: np.ndarray,
    transform: Affine | None,
    epsg: int | None,
    **profile: object,
) -> None:
    """Write a GeoTIFF; None leaves transform or coordinate system out."""
    placed = {} if transform is None else {"transform": transform}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=values.dtype.name,
        crs=None if epsg is None else f"EPSG:{epsg}",
        **placed,
        **profile,
    ) as sink:
        sink.write(values, 1)


def rewrite(path: Path, **changes: object) -> None:
    """Write a raster again with another size, transform, epsg, dtype or profile."""
    with rasterio.open(path) as source:
        values, transform, epsg = source.read(1), source.transform, source.crs.to_epsg()
    values = np.resize(values, changes.pop("shape", values.shape))
    values = values.astype(changes.pop("dtype", values.dtype.name))
    transform = changes.pop("transform", transform)
    epsg = changes.pop("epsg", epsg)
    path.unlink()
    write_raster(path, values, transform, epsg, **changes)
