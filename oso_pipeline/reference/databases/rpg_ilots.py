"""RPG up to 2014: which blocks hold a single group of crops.

The geometry names only the group that covers most of a block. The table that comes with it,
``ILOTS-ANONYMES-GROUPES-CULTURE.csv``, has one line per block and group, with its surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
import pyarrow.csv

from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.reference.databases.rpg_files import RpgFile, normal_codes, normal_numbers
from oso_pipeline.vectors.field_names import find_field, nearest, plain_name

SEVERAL_GROUPS = "several groups of crops in one block"
NOT_IN_TABLE = "block not in the table of groups"
OTHER_GROUP = "table and geometry name different groups"

_COLUMNS = {
    "block": ("NUM_ILOT", "NUMERO_ILOT", "ID_ILOT"),
    "group": ("CODE_GROUPE_CULTURE", "CODE_GROUP", "CODE_CULTURE", "CODE_CULTU"),
    "surface": ("SURFACE_GROUPE_CULTURE", "SURF_CULTU", "SURFACE"),
}
_HINT = "take the file that belongs to the blocks, or set `purity: majority` to do without"


@dataclass(frozen=True)
class Groups:
    """The table of groups of one region.

    Parameters
    ----------
    single
        The group of each block that holds a single one, by number of the block.
    several
        Numbers of the blocks that hold more.
    """

    single: pd.Series
    several: pd.Index

    def evaluated(
        self, blocks: pd.Series, groups: npt.NDArray[np.object_]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """Return the group of each block, and why it is left out (empty where it is not).

        Parameters
        ----------
        blocks, groups
            Number and main group (`normal_codes`) as the geometry has them, shape ``(n,)``.
        """
        single = blocks.map(self.single).astype(object)
        known = blocks.isin(self.single.index).to_numpy()
        differs = known & ~pd.isna(groups) & (groups != single.to_numpy())
        why = np.full(len(blocks), "", dtype=object)
        why[~known] = NOT_IN_TABLE
        why[blocks.isin(self.several).to_numpy()] = SEVERAL_GROUPS
        why[differs] = OTHER_GROUP
        return single.where(known, None).to_numpy(), why


def groups_path(file: RpgFile) -> Path | None:
    """Return the table of groups beside the blocks, None where there is none."""
    folder = file.vector.path.parent
    tables = [path for path in sorted(folder.glob("[!.]*")) if path.suffix.lower() == ".csv"]
    named = [path for path in tables if "groupesculture" in plain_name(path.stem)]
    return named[0] if named else None


def read_groups(file: RpgFile, problems: Problems) -> Groups | None:
    """Return the table of groups that comes with blocks, read once per process.

    Text is UTF-8 or Latin-1, decimals have a point or comma, and a surface may be ``NR``.
    Groups with a surface of 0 do not count, those without a number do.

    Problems found: there is no table (``E-PATH-MISSING``), it lacks a column (``E-TABLE-COLUMN``),
    or holds lines that cannot be read (``E-TABLE-LINE``). The result is then None.
    """
    path = groups_path(file)
    if path is None:
        message = (
            "the table of groups ILOTS-ANONYMES-GROUPES-CULTURE.csv is missing: without it "
            "blocks with a single group cannot be identified"
        )
        hint = "put it beside ILOTS_ANONYMES, or set `purity: majority` to do without"
        problems.error("E-PATH-MISSING", message, file.vector.path, hint)
        return None
    try:
        state = path.stat()
        groups, found = _read(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        problems.error("E-PATH-READ", f"cannot read the file: {error.strerror}", path, _HINT)
        return None
    problems.extend(found)
    return groups


@lru_cache(maxsize=4)
def _read(path: Path, size: int, modified_ns: int) -> tuple[Groups | None, tuple[Problem, ...]]:
    # Size and time only spare reading a file twice within one process.
    problems = Problems()
    table = _table(path, problems)
    groups = None if table is None else _groups(table, path, problems)
    return groups, tuple(problems)


def _table(path: Path, problems: Problems) -> pd.DataFrame | None:
    """Return the columns block, group and surface as texts."""
    text = _text(path)
    header = text.split("\n", 1)[0]
    separator = max(";,\t", key=header.count)
    present = [name.strip().strip('"') for name in header.strip().split(separator)]
    names = {role: find_field(wanted, present) for role, wanted in _COLUMNS.items()}
    for role, name in names.items():
        if name is None:
            wanted = _COLUMNS[role][0]
            message = f"column {wanted!r} is not in the table; its columns: {', '.join(present)}"
            problems.error("E-TABLE-COLUMN", message, f"{path}:1", nearest(wanted, present))
    if problems.errors:
        return None
    bad_rows: list[Any] = []

    def remembered(row: Any) -> str:
        bad_rows.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(text.encode()),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=present, skip_rows=1),
            pyarrow.csv.ParseOptions(
                delimiter=separator,
                invalid_row_handler=remembered,
            ),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(present, pyarrow.string())),
        )
    except pyarrow.ArrowInvalid as error:
        problems.error("E-TABLE-READ", f"cannot be read as table: {error}", path, _HINT)
        return None
    if bad_rows:
        first = bad_rows[0]
        message = (
            f"{len(bad_rows)} lines have not {first.expected_columns} values, "
            f"the first of them {first.actual_columns}: {first.text[:60]!r}"
        )
        problems.error("E-TABLE-LINE", message, f"{path}:{first.number}", _HINT)
        return None
    return pd.DataFrame({role: table[name].to_pandas() for role, name in names.items() if name})


def _text(path: Path) -> str:
    content = read_regular(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _groups(table: pd.DataFrame, path: Path, problems: Problems) -> Groups | None:
    blocks, codes = normal_numbers(table["block"]), normal_codes(table["group"])
    incomplete = np.flatnonzero(blocks.isna() | (table["group"].str.strip() == ""))
    if len(incomplete):
        message = f"{len(incomplete)} lines have no block or no group; they may be cut"
        problems.error("E-TABLE-LINE", message, f"{path}:{incomplete[0] + 2}", _HINT)
        return None
    surfaces = pd.to_numeric(table["surface"].str.replace(",", "."), errors="coerce")
    present = ~(surfaces <= 0)
    pairs = pd.DataFrame({"block": blocks, "group": codes})[present].drop_duplicates()
    more = pairs["block"].duplicated(keep=False)
    single = pairs[~more].set_index("block")["group"]
    return Groups(single, pd.Index(pairs["block"][more].unique()))
