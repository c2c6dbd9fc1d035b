"""The YAML file that describes a table of series on which adaptation is evaluated."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from oso_pipeline.config.findings import dotted, path_of, shown, where
from oso_pipeline.config.layers import expand, read_files
from oso_pipeline.config.nodes import Node
from oso_pipeline.config.section import Section
from oso_pipeline.core.errors import ConfigError, Problems

_PATHS = (("table", "path"), ("run_dir",))


class _Table(Section):
    path: Path
    """The file."""
    label: str
    """Column (array) with the class of each sample."""
    season: str
    """Column (array) with the year of each sample."""
    polygon: str | None = None
    """Column (array) with the polygon of each sample. By default the geometry of a GeoParquet
    file, or each sample is a polygon of its own."""
    scale: float = Field(10_000.0, gt=0)
    """Values times this, rounded, must fit int16 (-9,999 to 32,767): 10000 for reflectances and
    indices between -1 and 1, 1 for values that are whole numbers already."""
    nodata: float | None = None
    """Value that stands for no observation, beside NaN and null."""
    where: dict[str, tuple[str | int, ...]] = Field(default_factory=dict)
    """Only rows with one of these values in a column (array)."""


class ColumnTable(_Table):
    """A table with a row per sample and a column per date and band."""

    bands: dict[str, str] = Field(min_length=1)
    """Columns of each band, with `{day}` for the day of the season: `NDVI: doy{day}`."""

    @model_validator(mode="after")
    def _has_day(self) -> ColumnTable:
        for band, pattern in self.bands.items():
            if pattern.count("{day}") != 1:
                raise ValueError(f"bands: {band}: {pattern!r} must hold {{day}} once")
        return self


class ParquetTable(ColumnTable):
    """A Parquet or GeoParquet file with a row per sample."""

    kind: Literal["parquet"]
    """A row per sample, a column per date and band."""


class CsvTable(ColumnTable):
    """A CSV file in UTF-8 with a header and a row per sample."""

    kind: Literal["csv"]
    """A row per sample, a column per date and band; commas, semicolons or tabs between them."""


class NpzTable(_Table):
    """A NumPy archive with one array of all series."""

    kind: Literal["npz"]
    """Arrays of one length; the series are one array of shape (sample, date, band)."""
    series: str = "X"
    """Array with the series."""
    days: str = "dates"
    """Array with the days of the season, whole numbers in ascending order, or dates."""


_KINDS = (ParquetTable, CsvTable, NpzTable)


class Evaluation(Section):
    """Seasons of a table, and which labels hold for more than one of them."""

    table: Annotated[ParquetTable | CsvTable | NpzTable, Field(discriminator="kind")]
    """Samples with series and labels of several seasons."""
    classes: dict[str, str] | None = Field(None, min_length=2)
    """From labels of the table to classes, the first that fits; `*` stands for any letters.
    Labels that fit none are left out. By default each label is a class."""
    perennial: tuple[str, ...] = ()
    """Classes whose labels hold from year to year."""
    sources: tuple[int, ...] = Field(min_length=1)
    """Past years, all of whose labels are known."""
    target: int
    """Year whose labels are hidden."""
    min_samples: int = Field(10, ge=2)
    """A class takes part if sources and target have at least as many samples of it."""
    run_dir: Path
    """Folder of the results."""

    @model_validator(mode="after")
    def _consistent(self) -> Evaluation:
        if self.target in self.sources:
            raise ValueError(f"sources: {self.target} is the target year, expected past years")
        known = set((self.classes or {}).values())
        unknown = [
            name for name in self.perennial if self.classes is not None and name not in known
        ]
        if unknown:
            raise ValueError(f"perennial: {', '.join(unknown)} is not among the classes")
        return self


def is_evaluation(path: Path) -> bool:
    """Whether a file describes a table rather than a run: it has the key ``table``."""
    node = read_files(path, os.environ, Problems())
    return node is not None and node.child("table") is not None


def load_evaluation(path: Path, environ: Mapping[str, str] | None = None) -> Evaluation:
    """Load and check the description of a table; paths are relative to its folder.

    Raises
    ------
    ConfigError
        With every problem found: ``file:line:column`` in `where`.
    """
    environ = os.environ if environ is None else environ
    problems = Problems()
    tree = read_files(Path(os.path.abspath(os.path.expanduser(path))), environ, problems)
    if tree is None:
        raise ConfigError(*problems.errors)
    if tree.child("run_dir") is None:
        run_dir = Node(f"runs/{path.stem}", tree.where, tree.folder)
        tree = Node({**tree.value, "run_dir": run_dir}, tree.where, tree.folder, tree.keys)
    content = tree.plain()
    for keys in _PATHS:
        _make_absolute(tree, content, keys, environ, problems)
    try:
        Evaluation.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            place = path_of(found, tree)
            message = found["msg"].removeprefix("Value error, ")
            if found["type"].startswith("union_tag"):
                message = _kind_message(found)
            elif found["type"] not in ("missing", "value_error", "extra_forbidden"):
                message = f"found {shown(found['input'])}; {message}"
            name = dotted(place)
            problems.error(
                "E-CONFIG-KEY" if found["type"] == "extra_forbidden" else "E-CONFIG-VALUE",
                f"{name}: {message}" if name else message,
                where(tree, place, of_key=found["type"] == "extra_forbidden"),
                "docs/adaptation.md describes the keys of an evaluation",
            )
    problems.raise_errors(ConfigError)
    return Evaluation.model_validate(content)


def _kind_message(found: ErrorDetails) -> str:
    """Return the error of a missing or unknown kind of table."""
    kinds = ", ".join(get_args(one.model_fields["kind"].annotation)[0] for one in _KINDS)
    content = found["input"]
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind is None:
        return f"kind: is missing, allowed: {kinds}"
    return f"found {shown(kind)}, allowed: {kinds}"


def _make_absolute(
    tree: Node,
    content: dict[str, Any],
    keys: tuple[str, ...],
    environ: Mapping[str, str],
    problems: Problems,
) -> None:
    node: Node | None = tree
    for key in keys:
        node = None if node is None else node.child(key)
    if node is None or not isinstance(node.value, str):
        return
    text = expand(node.value, node.where, ".".join(keys), environ, problems)
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = os.path.abspath(node.folder / text)
