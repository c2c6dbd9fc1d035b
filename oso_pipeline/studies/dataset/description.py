"""What stands beside the data of a set: classes, bands, dates, scales, splits, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oso_pipeline import __version__
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.reference.split.variants import map_variant, split_columns
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.kernels.chunks import NODATA

FORMAT = 1
"""Format of ``metadata.json``."""
METADATA, README = "metadata.json", "README.md"
_BAND_SCALE = 1e-4


def metadata_of(
    run: Run,
    form: str,
    tiles: Sequence[str],
    files: Mapping[str, Any],
    counts: Mapping[int, Mapping[str, int]],
) -> dict[str, Any]:
    """Return the description of a set as JSON values.

    Parameters
    ----------
    run
        The run.
    form
        ``parquet`` or ``npz``.
    tiles
        The tiles it is from.
    files
        What the files hold, by their name.
    counts
        Samples by class code and side of the split.
    """
    config, group = run.config, FeatureLayout.of(run.config).series
    years = sorted({config.season.start.year, config.season.end.year})
    known = run.nomenclature.by_code
    formulas = {one.name: one.formula for one in group.defined}
    return {
        "format": FORMAT,
        "form": form,
        "name": config.name,
        "year": config.year,
        "season": {"start": str(config.season.start), "end": str(config.season.end)},
        "software": f"oso_pipeline {__version__}",
        "attribution": f"Contains modified Copernicus Sentinel data {'-'.join(map(str, years))}",
        "tiles": [*tiles],
        "files": dict(files),
        "bands": [*group.bands],
        "indices": [*group.indices] if form == "parquet" else [],
        **({"expressions": formulas} if form == "parquet" and formulas else {}),
        "grid": [day.isoformat() for day in group.dates or ()],
        "scale": {
            **dict.fromkeys(group.bands, _BAND_SCALE),
            **{name: 1 / group.index(name).scale for name in group.indices if form == "parquet"},
        },
        "nodata": NODATA,
        "group": "polygon_id",
        "split": {
            "column": "split",
            "values": [TRAIN, VALIDATION, ""],
            "of": map_variant(config),
            "others": [*split_columns(config)],
        },
        "classes": [
            {
                "code": code,
                "name_en": known[code].name_en if code in known else "",
                "name_fr": known[code].name_fr if code in known else "",
                "colour": known[code].colour if code in known else "",
                "samples": dict(sides),
            }
            for code, sides in sorted(counts.items())
        ],
    }


def readme_of(metadata: Mapping[str, Any], nomenclature: Nomenclature) -> str:
    """Return a page for those who get the folder without the program."""
    samples = sum(sum(one["samples"].values()) for one in metadata["classes"])
    rows = "\n".join(
        f"| {one['code']} | {one['name_en']} | {sum(one['samples'].values())} |"
        for one in metadata["classes"]
    )
    forms = {"parquet": _PARQUET, "npz": _NPZ}
    return (
        f"# Training set {metadata['name']}, {metadata['year']}\n\n"
        f"{samples} samples of Sentinel-2 series from {', '.join(metadata['tiles'])}, labelled "
        f"in the nomenclature {nomenclature.name}. {metadata['attribution']}.\n\n"
        f"{forms[metadata['form']]}\n"
        "Stored integers times `scale` in `metadata.json` are reflectance or index; "
        f"{metadata['nodata']} stands for no data. Samples with the same `polygon_id` come from "
        "one polygon: keep them on one side of every split, as `split` does. Pixels of one field "
        "on both sides make the accuracy too high.\n\n"
        f"| code | class | samples |\n|---|---|---|\n{rows}\n"
    )


_PARQUET = """\
`samples.parquet` has a row per pixel: `polygon_id`, `code`, `label`, `split`, `tile`, `longitude`,
`latitude`, `start_date`, `end_date`, and a column per band or index and date, `B4_20180101`, with
gaps filled linearly in days.
"""
_NPZ = """\
`parcels/TILE/POLYGON.npz` has the pixels of one polygon in one tile: `values` (pixel, date, band),
`mask` (pixel, date; 1 where the date is clear), `days` (date; days since 1970-01-01), `label`, `x`
and `y` (pixel). Gaps are not filled. `parcels.parquet` lists the files with class and split.
"""
