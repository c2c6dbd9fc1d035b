"""The files of an RPG delivery: where they lie, which region and year, which generation.

Up to 2014 CODE_CULTU of ``ILOTS_ANONYMES`` is a group of crops in two digits; since 2015 that of
``PARCELLES_GRAPHIQUES`` is a crop in three letters. The year of the source decides how the field
is read, and files that contradict it are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.kinds import LAST_YEAR_OF_ILOTS, RpgSource
from oso_pipeline.reference.databases.packed import (
    archives_left,
    files_below,
    report_archives,
)
from oso_pipeline.vectors.field_names import plain_name
from oso_pipeline.vectors.looks import first_values
from oso_pipeline.vectors.values import normal_text, normal_value
from oso_pipeline.vectors.vector_files import VectorFile

CODE_FIELD = "CODE_CULTU"

_SUFFIXES = (".shp", ".gpkg", ".parquet")
_REGION = re.compile(r"_(R\d{2,3}|D\d{3}|D\d[\dAB])(?=[_.-]|$)", re.IGNORECASE)
_YEAR = re.compile(r"[_-]((?:19|20)\d{2})(?:-\d{2}-\d{2})?$")
_GROUP = re.compile(r"\d{1,2}(\.0*)?")
_CROP = re.compile(r"(?=.*[A-Z])[A-Z0-9]{3}")
_MISSING = (None, "nr", "n r", "nc")
_LOOKED_AT = 2000
_RIGHT_YEAR = "give the year of the data as `year` of the source, or the data of the year"


@dataclass(frozen=True)
class Generation:
    """One of the two forms of the RPG.

    Parameters
    ----------
    edition
        As the rules call it.
    layer
        Name of the layer, which names of files and layers contain.
    later_layer
        Another name of it, in later editions.
    years
        When, as text.
    identifier
        Field with the number of a block or parcel.
    meaning
        What CODE_CULTU holds, as text.
    """

    edition: str
    layer: str
    later_layer: str
    years: str
    identifier: str
    meaning: str


ILOTS = Generation(
    "ilots",
    "ILOTS_ANONYMES",
    "ILOTS_ANONYMES",
    f"up to {LAST_YEAR_OF_ILOTS}",
    "NUM_ILOT",
    "groups of two digits",
)
PARCELS = Generation(
    "parcels",
    "PARCELLES_GRAPHIQUES",
    "RPG_Parcelles",
    f"since {LAST_YEAR_OF_ILOTS + 1}",
    "ID_PARCEL",
    "crops of three letters",
)


def generation_of(source: RpgSource) -> Generation:
    """Return the form of a source: the one it names, or that in which its year is published."""
    if source.form == "auto":
        return ILOTS if source.year <= LAST_YEAR_OF_ILOTS else PARCELS
    return ILOTS if source.form == "ilots" else PARCELS


@dataclass(frozen=True)
class RpgFile:
    """The blocks or parcels of one region.

    Parameters
    ----------
    vector
        The file.
    region
        ``R28`` or ``D974`` as the names of the delivery say; empty for all of France.
    """

    vector: VectorFile
    region: str

    @property
    def prefix(self) -> str:
        """Prefix of the numbers, since each region counts from 1."""
        return f"{self.region}/" if self.region else ""


def find_files(source: RpgSource, problems: Problems) -> tuple[RpgFile, ...]:
    """Return the files of a source, ordered by region and path.

    Problems found: nothing of the generation is there (``E-DELIVERY-EMPTY``), or only a table
    without geometry (``E-GEOMETRY-NONE``); only the other generation, or other years
    (``E-DELIVERY-YEAR``); archives that were not unpacked (`report_archives`).
    """
    generation = generation_of(source)
    path = source.path
    if not path.exists():
        hint = (
            "correct the path; relative paths begin at the configuration file; "
            "`oso fetch CONFIG --reference` gets it"
        )
        problems.error("E-PATH-MISSING", f"RPG {source.year} is not there", path, hint)
        return ()
    if path.is_file():
        if _year(path) not in (None, source.year):
            _report_years(source, [path], problems)
            return ()
        layers = _layers_in(path) if path.suffix.lower() == ".gpkg" else ()
        if len(layers) < 2:
            return (_rpg_file(path, None, source),)
        matching = _matching(path, generation)
        if not matching:
            message = f"no layer {generation.layer} in the file, which holds {', '.join(layers)}"
            problems.error("E-DELIVERY-EMPTY", message, path, _RIGHT_YEAR)
        return tuple(_rpg_file(path, layer, source) for layer in matching)
    below = files_below(path)
    vectors = [file for file in below if file.suffix.lower() in _SUFFIXES]
    found = [(file, layer) for file in vectors for layer in _matching(file, generation)]
    of_year = [(file, layer) for file, layer in found if _year(file) in (None, source.year)]
    files = [_rpg_file(file, layer, source) for file, layer in of_year]
    left = _archives_left(source, below, files)
    report_archives(left, path, not found, problems)
    if not of_year and (found or not left):
        _report_nothing(source, [file for file, _ in found], below, problems)
    return tuple(sorted(files, key=lambda file: (file.region, str(file.vector.path))))


def normal_codes(values: pd.Series) -> npt.NDArray[np.object_]:
    """Return codes as text in one form, None where there is none (``NR`` as well as nothing)."""
    positions, distinct = pd.factorize(values)
    texts = [_normal_code(value) for value in distinct]
    return np.array([*texts, None], dtype=object)[positions]


def normal_numbers(values: pd.Series) -> pd.Series:
    """Return identifiers as text, None where there is none, in the order of the values."""
    texts = values.astype(str).str.strip().str.removesuffix(".0").astype(object)
    absent = values.isna().to_numpy() | (texts == "").to_numpy()
    return texts.where(~absent, None).reset_index(drop=True)


def contradicts(values: pd.Series, generation: Generation) -> str | None:
    """Return what codes of the other generation were found, as text; None where they fit."""
    found = values.dropna().astype(str).str.strip().value_counts(sort=False)
    counts = {str(code): int(n) for code, n in found.items()}
    groups = {code: n for code, n in counts.items() if _GROUP.fullmatch(code)}
    crops = {code: n for code, n in counts.items() if _CROP.fullmatch(code.upper())}
    other, own = (crops, groups) if generation is ILOTS else (groups, crops)
    n_other, n_own = sum(other.values()), sum(own.values())
    if n_other <= n_own:
        return None
    return f"{n_other} of {n_other + n_own} values are like {', '.join([*other][:3])}"


def _normal_code(value: object) -> str | None:
    text = normal_value(value)
    return None if normal_text(text) in _MISSING else text


def check_content(file: RpgFile, source: RpgSource, field: str, problems: Problems) -> None:
    """Look at the first codes of a file; those of the other generation are ``E-DELIVERY-YEAR``."""
    values = first_values(file.vector, field, _LOOKED_AT, problems)
    if values is not None:
        report_contradiction(pd.Series(values, dtype=object), file, source, problems)


def report_contradiction(
    values: pd.Series, file: RpgFile, source: RpgSource, problems: Problems
) -> bool:
    """Report codes of the other generation (``E-DELIVERY-YEAR``); return whether there are any."""
    generation = generation_of(source)
    other = PARCELS if generation is ILOTS else ILOTS
    found = contradicts(values, generation)
    if found is None:
        return False
    when = "when" if source.form == "auto" else f"of form {source.form}, where"
    problems.error(
        "E-DELIVERY-YEAR",
        f"the source is of {source.year}, {when} {CODE_FIELD} held {generation.meaning}, but "
        f"{found}: this is an RPG {other.years}, with {other.meaning}",
        file.vector.path,
        _RIGHT_YEAR,
    )
    return True


def _rpg_file(path: Path, layer: str | None, source: RpgSource) -> RpgFile:
    named = [m[1].upper() for part in _parts(path) for m in _REGION.finditer(part)]
    return RpgFile(VectorFile(path, layer, source.crs), named[-1] if named else "")


def _parts(path: Path) -> list[str]:
    """Return the names that say what a delivery is: folders RPG_..., and the file."""
    folders = [part for part in path.parts[:-1] if part.upper().startswith("RPG_")]
    return [*folders[-1:], path.stem]


def _year(path: Path) -> int | None:
    years = [int(match[1]) for part in _parts(path) if (match := _YEAR.search(part))]
    return years[-1] if years else None


def _archives_left(
    source: RpgSource, below: Sequence[Path], files: Sequence[RpgFile]
) -> list[Path]:
    """Return the archives of regions that are not there otherwise, other years apart."""
    regions = {file.region for file in files}

    def is_here(name: str) -> bool:
        year, region = _YEAR.search(name), _REGION.search(name)
        other = year is not None and int(year[1]) != source.year
        return other or (region is not None and region[1].upper() in regions)

    return archives_left(below, is_here)


def _matching(path: Path, generation: Generation) -> list[str | None]:
    """Return the layers of a file that are those of a generation."""
    if path.suffix.lower() != ".gpkg":
        return [None] if _is_layer(path.stem, generation) else []
    layers = _layers_in(path)
    named: list[str | None] = [name for name in layers if _is_layer(name, generation)]
    if named or len(layers) > 1:
        return named[:1]
    return [None] if _is_layer(path.stem, generation) else []


def _layers_in(path: Path) -> tuple[str, ...]:
    return VectorFile(path).layers(Problems())  # reading it says what is wrong


def _is_layer(name: str, generation: Generation) -> bool:
    plain = plain_name(name)
    return plain_name(generation.layer) in plain or plain == plain_name(generation.later_layer)


def _report_years(source: RpgSource, files: Sequence[Path], problems: Problems) -> None:
    years = sorted({str(_year(file)) for file in files})
    message = f"the source is of {source.year}, the files are of {', '.join(years)} by their names"
    problems.error("E-DELIVERY-YEAR", message, files[0], _RIGHT_YEAR)


def _report_nothing(
    source: RpgSource, of_other_years: Sequence[Path], below: Sequence[Path], problems: Problems
) -> None:
    generation = generation_of(source)
    other = PARCELS if generation is ILOTS else ILOTS
    tables = [f for f in below if f.suffix.lower() == ".dbf" and _is_layer(f.stem, generation)]
    if of_other_years:
        _report_years(source, of_other_years, problems)
    elif tables:
        message = (
            f"{tables[0].name} has no {tables[0].stem}.shp beside it: "
            "there are attributes, but no geometry"
        )
        problems.error("E-GEOMETRY-NONE", message, tables[0], "unpack the whole delivery again")
    elif any(_is_layer(file.stem, other) for file in below):
        message = (
            f"RPG {generation.years} holds {generation.layer}, but only {other.layer} of an "
            f"RPG {other.years} is there; the source is of {source.year}"
        )
        problems.error("E-DELIVERY-YEAR", message, source.path, _RIGHT_YEAR)
    else:
        message = f"no {generation.layer} (.shp, .gpkg) in this folder or below"
        problems.error("E-DELIVERY-EMPTY", message, source.path, "name the folder of the delivery")
