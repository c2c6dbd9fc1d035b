"""How RPG, BD TOPO and Corine Land Cover are delivered: folders, files, fields.

Folder names, field names, types and widths are those of real deliveries (RPG 2019 and 2022,
BD TOPO 3.3 of 2022); of the long tables, the fields that say what a feature is, in their order.
The îlots until 2014 follow the description of the database. The road table follows the
specification of BD TOPO 3.3: no delivered road table was at hand.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from oso_pipeline.simulation.writers.vector_files import Field, Shapefile


def _fields(text: str) -> tuple[Field, ...]:
    """Parse ``NAME kind width[.decimals]`` of each field, separated by commas."""
    fields = []
    for item in text.split(","):
        name, kind, size = item.split()
        width, _, decimals = size.partition(".")
        fields.append(Field(name, kind, int(width), int(decimals or 0)))  # type: ignore[arg-type]
    return tuple(fields)


_DATES = "ETAT C 15, DATE_CREAT C 19, DATE_MAJ C 19, DATE_APP D 8, DATE_CONF D 8"
_PLACE = "SOURCE C 127, ID_SOURCE C 254, ACQU_PLANI C 32, PREC_PLANI N 6.1"
_HEIGHT = "ACQU_ALTI C 30, PREC_ALTI N 6.1"
_BDTOPO_DATE = (2022, 12, 15)

RPG_PARCELS = Shapefile(
    _fields(
        "ID_PARCEL C 10, SURF_PARC N 8.2, CODE_CULTU C 3, CODE_GROUP C 2, "
        "CULTURE_D1 C 3, CULTURE_D2 C 3"
    ),
    code_page="UTF-8",
    date=(2019, 8, 25),
)
"""RPG from 2015: parcels with their crop."""

RPG_PARCELS_GPKG: dict[str, pa.DataType] = {
    "id_parcel": pa.string(), "code_cultu": pa.string(), "code_group": pa.string(),
    "culture_d1": pa.string(), "culture_d2": pa.string(), "surf_parc": pa.float32(),
}  # fmt: skip
"""The same as a national GeoPackage."""

RPG_ILOTS = Shapefile(
    _fields(
        "NUM_ILOT C 12, COMMUNE C 5, FORME_JURI C 30, SURF_DECLA C 10, DEP_RATTAC C 3, "
        "SURF_GRAPH C 10, SURF_CULTU C 10, CODE_CULTU C 2, NOM_CULTU C 60"
    ),
    date=(2015, 6, 1),
)
"""RPG until 2014: îlots with their greatest crop group; surfaces as text, as ``NR`` occurs."""

RPG_ILOTS_ANONYMES = Shapefile(
    _fields("ID_ILOT C 10, INSEE_COM C 5, SURF_ILOT N 8.2"), code_page="UTF-8", date=(2019, 8, 25)
)
"""Îlots from 2015 to 2021: outlines without a crop, beside the parcels."""

RPG_GROUPS_HEADER = "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE;NOM_GROUPE_CULTURE"
"""First line of the table of all groups of each îlot."""

BATIMENT = Shapefile(
    _fields(
        f"ID C 24, NATURE C 34, USAGE1 C 22, USAGE2 C 22, LEGER C 3, {_DATES}, {_PLACE}, "
        f"{_HEIGHT}, NB_LOGTS N 4, NB_ETAGES N 3, MAT_MURS C 2, MAT_TOITS C 2, HAUTEUR N 7.2, "
        "Z_MIN_SOL N 8.2, Z_MIN_TOIT N 8.2, Z_MAX_TOIT N 8.2, Z_MAX_SOL N 8.2, ORIGIN_BAT C 18, "
        "APP_FF C 32"
    ),
    "Polygon Z",
    date=_BDTOPO_DATE,
)
ZONE_DE_VEGETATION = Shapefile(
    _fields(
        "ID C 24, NATURE C 28, DATE_CREAT C 19, DATE_MAJ C 19, DATE_APP D 8, DATE_CONF D 8, "
        "ACQU_PLANI C 32, PREC_PLANI N 6.1, SOURCE C 127, ID_SOURCE C 254"
    ),
    date=_BDTOPO_DATE,
)
SURFACE_HYDROGRAPHIQUE = Shapefile(
    _fields(
        f"ID C 24, CODE_HYDRO C 19, CODE_PAYS C 8, NATURE C 27, POS_SOL C 2, {_DATES}, {_PLACE}, "
        f"{_HEIGHT}, SRC_COORD C 31, SRC_ALTI C 41, STATUT C 7, PERSISTANC C 12, SALINITE C 3, "
        "ORIGINE C 24, COMMENT C 80, ID_P_EAU C 254, ID_C_EAU C 254, ID_ENT_TR C 24, "
        "NOM_P_EAU C 120, NOM_C_EAU C 120, NOM_ENT_TR C 120"
    ),
    "Polygon Z",
    date=_BDTOPO_DATE,
)
ZONE_D_ACTIVITE = Shapefile(
    _fields(
        "ID C 24, CATEGORIE C 26, NATURE C 47, NAT_DETAIL C 62, TOPONYME C 127, STATUT_TOP C 10, "
        f"IMPORTANCE C 1, FICTIF C 3, {_DATES}, {_PLACE}"
    ),
    date=_BDTOPO_DATE,
)
TRONCON_DE_ROUTE = Shapefile(
    _fields(
        f"ID C 24, NATURE C 24, IMPORTANCE C 1, FICTIF C 3, POS_SOL C 2, {_DATES}, {_PLACE}, "
        f"{_HEIGHT}, NB_VOIES C 2, LARGEUR N 5.1, SENS C 20, CL_ADMIN C 20"
    ),
    "LineString Z",
    date=_BDTOPO_DATE,
)
BDTOPO_FOLDERS = {
    "BATIMENT": ("BATI", BATIMENT),
    "ZONE_DE_VEGETATION": ("OCCUPATION_DU_SOL", ZONE_DE_VEGETATION),
    "SURFACE_HYDROGRAPHIQUE": ("HYDROGRAPHIE", SURFACE_HYDROGRAPHIQUE),
    "ZONE_D_ACTIVITE_OU_D_INTERET": ("SERVICES_ET_ACTIVITES", ZONE_D_ACTIVITE),
    "TRONCON_DE_ROUTE": ("TRANSPORT", TRONCON_DE_ROUTE),
}
"""Theme folder and layout of each layer of BD TOPO v3."""

CLC = Shapefile(_fields("ID C 18, CODE_18 C 3, AREA_HA N 14.4"), date=(2019, 2, 14))
"""Corine Land Cover 2018 of France."""

CROP_GROUPS = {
    "BTH": 1, "MIS": 2, "MIE": 2, "ORH": 3, "ORP": 3, "TTH": 4, "BDH": 4, "AVH": 4, "SOG": 4,
    "CZH": 5, "TRN": 6, "SOJ": 7, "FVL": 8, "PHI": 8, "PPR": 8, "LIF": 9, "J5M": 11, "J6P": 11,
    "J6S": 11, "LUZ": 16, "TRE": 16, "MLG": 16, "SPH": 17, "SPL": 17, "BOP": 17, "PPH": 18,
    "PRL": 18, "PTR": 19, "RGA": 19, "VRG": 20, "PRU": 20, "VRC": 21, "VRT": 21, "VRN": 21,
    "NOX": 22, "OLI": 23, "BTN": 24, "PTC": 25, "FLA": 25, "BTA": 28, "BFS": 28, "SNE": 28,
}  # fmt: skip
"""Crop codes of the official list of 2020 that are written here, with their group."""

GROUP_NAMES = {
    1: "BLE TENDRE", 2: "MAIS GRAIN ET ENSILAGE", 3: "ORGE", 4: "AUTRES CEREALES", 5: "COLZA",
    6: "TOURNESOL", 7: "AUTRES OLEAGINEUX", 8: "PROTEAGINEUX", 11: "GEL (SURFACES GELEES SANS "
    "PRODUCTION)", 16: "FOURRAGE", 18: "PRAIRIES PERMANENTES", 19: "PRAIRIES TEMPORAIRES",
    20: "VERGERS", 21: "VIGNES",
}  # fmt: skip
"""Names of the groups that are written in îlots."""


def rpg_folder(root: Path, form: str, year: int, region: str) -> Path:
    """Return the folder of an RPG from 2015 on, as ``RPG_2-0_SHP_LAMB93_R32-2018`` at its end.

    Parameters
    ----------
    root
        Folder of all deliveries.
    form
        ``SHP`` or ``GPKG``.
    year, region
        As 2018 and ``R32``, or ``FXX`` for all of metropolitan France.
    """
    delivery = root / f"RPG_2-0__{form}_LAMB93_{region}_{year}-01-01" / "RPG"
    return delivery / f"1_DONNEES_LIVRAISON_{year}" / f"RPG_2-0_{form}_LAMB93_{region}-{year}"


def ilots_folder(root: Path, year: int, region: str) -> Path:
    """Return the folder of an RPG until 2014; regions had their old codes, for example ``R031``."""
    name = f"RPG_1-0_SHP_LAMB93_{region}-{year}"
    return root / name / "RPG" / f"1_DONNEES_LIVRAISON_{year}" / name


def bdtopo_folder(root: Path, department: str) -> Path:
    """Return the folder of a department of BD TOPO 3.3, edition of December 2022."""
    delivery = root / f"BDTOPO_3-3_TOUSTHEMES_SHP_LAMB93_{department}_2022-12-15" / "BDTOPO"
    name = f"BDT_3-3_SHP_LAMB93_{department}-ED2022-12-15"
    return delivery / "1_DONNEES_LIVRAISON_2022-12-00159" / name
