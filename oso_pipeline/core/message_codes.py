"""Message codes: the numbers of earlier versions, and the codes that replaced them.

A code has a letter, ``E`` for errors and ``W`` for warnings, and a name that says what is wrong,
for example ``E-IMAGE-CUT``. Earlier versions used numbers, some of them with several meanings.
docs/errors.md lists both.
"""

from __future__ import annotations

REPLACED: dict[str, tuple[str, ...]] = {
    "INPUT-001": ("IMAGE-UNKNOWN",),
    "INPUT-002": ("IMAGE-RENAMED",),
    "INPUT-003": ("IMAGE-BAND",),
    "INPUT-004": ("IMAGE-REFLECTANCE",),
    "INPUT-006": ("IMAGE-ASSET", "IMAGE-MASK"),
    "INPUT-007": ("IMAGE-SIZE",),
    "INPUT-008": ("IMAGE-HALF-SIZE",),
    "INPUT-009": ("IMAGE-CRS",),
    "INPUT-010": ("IMAGE-NO-CRS",),
    "INPUT-011": ("IMAGE-ROTATED",),
    "INPUT-012": ("IMAGE-POSITION",),
    "INPUT-013": ("IMAGE-RESOLUTION",),
    "INPUT-014": ("IMAGE-VALUES",),
    "INPUT-015": ("IMAGE-SCALE", "IMAGE-SCALES"),
    "INPUT-016": ("IMAGE-NODATA", "IMAGE-NODATA-TAG"),
    "INPUT-017": ("SERIES-ZERO",),
    "INPUT-018": ("SERIES-CLIPPED",),
    "INPUT-023": ("IMAGE-VERSIONS",),
    "INPUT-026": ("SERIES-FEW-DATES",),
    "INPUT-027": ("SERIES-NO-DATE",),
    "INPUT-029": ("SERIES-GAP",),
    "INPUT-030": (
        "DELIVERY-DEPARTMENT",
        "DELIVERY-LAYER",
        "DELIVERY-PART-PACKED",
        "SEASON-NO-IMAGE",
        "TILE-NO-IMAGE",
    ),
    "INPUT-031": ("AREA-EMPTY", "PLACE-OUTSIDE", "STRATA-COVER"),
    "INPUT-032": ("PLACE-COORDINATES",),
    "INPUT-033": ("CRS-DAMAGED", "CRS-MISSING"),
    "INPUT-034": ("CRS-SEVERAL", "POLYGON-OFF-MAP"),
    "INPUT-035": ("GEOMETRY-INVALID",),
    "INPUT-036": ("GEOMETRY-MISSING",),
    "INPUT-037": ("COMPARE-READ", "GEOMETRY-NONE", "GEOMETRY-TYPE"),
    "INPUT-038": ("POLYGON-SMALL", "POLYGON-UNUSED"),
    "INPUT-039": ("POLYGON-OVERLAP", "STRATA-OVERLAP"),
    "INPUT-040": ("DELIVERY-TWICE", "POLYGON-DUPLICATE"),
    "INPUT-041": (
        "DELIVERY-FIELDS",
        "TABLE-COLUMN",
        "TABLE-COLUMN-TWICE",
        "VECTOR-COLUMN",
        "VECTOR-TABLE",
    ),
    "INPUT-042": ("CLASS-UNKNOWN", "COMPARE-CLASSES", "POLYGON-UNKNOWN", "RULES-NOMENCLATURE"),
    "INPUT-043": ("CLASS-MISSING", "STRATA-NAME"),
    "INPUT-044": ("NOMENCLATURE-CODE",),
    "INPUT-045": ("CROSSWALK", "NOMENCLATURE", "TABLE-ROW"),
    "INPUT-046": ("CLASS-NO-PIXEL", "CLASS-NO-POLYGON", "LAND-COVER-MISSING"),
    "INPUT-047": ("CLASS-SINGLE",),
    "INPUT-048": ("CLASS-FEW-POLYGONS", "CLASS-ONE-SIDE", "CLASS-RARE", "POLYGON-NONE"),
    "INPUT-049": ("SPLIT-COLUMN", "SPLIT-OVERLAP"),
    "INPUT-050": ("CLASS-BALANCE",),
    "INPUT-053": ("MODEL-FEATURES",),
    "INPUT-055": ("CONFIG-KEY", "RULES-KEY"),
    "INPUT-056": ("CONFIG-YAML",),
    "INPUT-057": ("CONFIG-VALUE", "RULES-PURPOSE", "RULES-VALUE"),
    "INPUT-058": (
        "DELIVERY-EDITION",
        "DELIVERY-EMPTY",
        "DELIVERY-PACKED",
        "INVENTORY-FORMAT",
        "INVENTORY-READ",
        "PATH-KIND",
        "PATH-MISSING",
        "PATH-NAME",
        "PATH-PERMISSION",
        "PATH-READ",
        "PATH-VARIABLE",
        "RUN-NONE",
        "TABLE-LINE",
        "TABLE-READ",
        "VECTOR-CUT",
        "VECTOR-INDEX",
        "VECTOR-LAYER",
        "VECTOR-READ",
    ),
    "INPUT-059": ("RUN-INSIDE",),
    "INPUT-060": ("TILE-NAME",),
    "INPUT-062": ("BLOCK-MEMORY",),
    "INPUT-063": ("TEXT-ENCODING",),
    "INPUT-065": ("COMPARE-EMPTY", "VALIDATION-EMPTY", "VALIDATION-LEFT-OUT"),
    "INPUT-066": ("CLASS-NOT-EVALUATED", "CLASS-NOT-PREDICTED"),
    "INPUT-067": ("DELIVERY-YEAR",),
    "INPUT-070": ("IMAGE-METADATA",),
    "INPUT-071": ("IMAGE-ARCHIVE",),
    "INPUT-072": ("SEASON-DATES",),
    "INPUT-073": ("SEASON-NO-LABELS", "SOURCE-YEAR"),
    "INPUT-074": ("CLASS-PERENNIAL",),
    "FAULT-019": ("IMAGE-VANISHED",),
    "FAULT-020": ("IMAGE-CHANGED",),
    "FAULT-021": ("IMAGE-CUT",),
    "FAULT-024": ("FILE-CHANGED",),
}
"""Codes without their letter: number of earlier versions, and the codes that replaced it."""

PATH_CODES = frozenset(f"E-{code}" for code in ("INPUT-058", *REPLACED["INPUT-058"]))
"""Errors of files and folders that are missing, unreadable or of the wrong kind."""


def current_codes(code: str) -> tuple[str, ...]:
    """Return the codes that a code of any version means today.

    Parameters
    ----------
    code
        With or without letter, for example ``E-INPUT-030`` or ``INPUT-030``.

    Returns
    -------
    tuple of str
        The code itself where it is not one of `REPLACED`.

    Examples
    --------
    >>> current_codes("E-INPUT-004"), current_codes("W-IMAGE-BAND")
    (('E-IMAGE-REFLECTANCE',), ('W-IMAGE-BAND',))
    """
    letter, dash, name = code.partition("-")
    if letter not in ("E", "W"):
        letter, dash, name = "", "", code
    return tuple(f"{letter}{dash}{one}" for one in REPLACED.get(name, (name,)))
