"""Export the samples of a run as a training set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from oso_pipeline.core.commit import publish_bytes, writing_into
from oso_pipeline.core.errors import InputDataError, Problem, UnknownName
from oso_pipeline.studies.dataset.description import METADATA, README, metadata_of, readme_of
from oso_pipeline.studies.dataset.parcel_files import LISTED, PARCELS, write_parcels
from oso_pipeline.studies.dataset.samples_table import SAMPLES, write_samples
from oso_pipeline.studies.opened_run import Run, opened

Form = Literal["parquet", "npz"]
FORMS: tuple[str, ...] = get_args(Form)


def export_dataset(
    run: Run | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    form: Form = "parquet",
    tiles: Iterable[str] | None = None,
) -> Path:
    """Write the samples of a run as a training set that other programs read.

    Parameters
    ----------
    run
        The run, its folder or its YAML file.
    folder
        Where to; it must be new or empty. ``metadata.json`` is written last: without it the set
        is not complete.
    form
        ``parquet``: ``samples.parquet`` with a row per pixel and the gap-filled features that the
        model learns from. ``npz``: a file per polygon with the clear observations of its pixels
        and a mask, read from the images; gaps are not filled.
    tiles
        Of these tiles; of all by default.

    Returns
    -------
    Path
        ``metadata.json``: classes, bands, dates, scales, splits.

    Raises
    ------
    UnknownName
        If there is no such form, or a tile is not of the run.
    InputDataError
        If the folder holds something, the run has no samples yet, or an image cannot be read.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> oso.export_dataset("demo/run_one_year", "set", tiles=["31UCU"]).name
    'metadata.json'
    >>> table = oso.read_series("set/samples.parquet", label="code", group="polygon_id")
    >>> len(table.X) == len(oso.open_run("demo/run_one_year").read_samples(["31UCU"], ["code"]))
    True
    """
    one = run if isinstance(run, Run) else opened(Path(run))
    where = Path(folder)
    names = one.config.imagery.tiles if tiles is None else tuple(tiles)
    _refuse(one, names, form, where)
    with writing_into(where):
        where.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            counts = write_samples(one, names, where)
            files: dict[str, Any] = {SAMPLES: "a row per pixel"}
        else:
            counts = write_parcels(one, names, where)
            files = {LISTED: "a row per file", PARCELS: "a file per tile and polygon"}
        metadata = metadata_of(one, form, names, files, counts)
        publish_bytes(where / README, readme_of(metadata, one.nomenclature).encode())
        text = json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
        publish_bytes(where / METADATA, text.encode())
    return where / METADATA


def _refuse(run: Run, tiles: Iterable[str], form: str, folder: Path) -> None:
    if form not in FORMS:
        message = f"found form {form!r}, expected one of {', '.join(FORMS)}"
        raise UnknownName(Problem("E-DATASET-FORM", message))
    known = run.config.imagery.tiles
    for tile in tiles:
        if tile not in known:
            message = f"found tile {tile!r}, expected one of {', '.join(known[:20])}"
            raise UnknownName(Problem("E-NAME-TILE", message))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = "the folder of the set is not empty, or it is a file"
        hint = "name a new folder, or remove this one"
        raise InputDataError(Problem("E-DATASET-FOLDER", message, str(folder), hint))
