"""The layers of a database that comes in departments, formats and editions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.packed import (
    archives_left,
    files_below,
    report_archives,
)
from oso_pipeline.vectors.field_names import plain_name
from oso_pipeline.vectors.vector_files import VectorFile

_SUFFIXES = {".shp", ".gpkg"}
_DEPARTMENT = re.compile(r"_D(\d{3}|\d{2}[AB]|\d[AB]|\d{2})(?=[-_.]|$)", re.IGNORECASE)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class DeliveryLayer:
    """One layer of one delivery.

    Parameters
    ----------
    delivery
        Folder or file that the delivery is known by, ``BDT_3-3_SHP_LAMB93_D077-ED2022-12-15``;
        the given path if no name contains a department.
    department
        Three characters, ``077`` or ``02A``; None if no name contains it.
    name
        Name of the layer as the rules spell it.
    file
        Where it is.
    """

    delivery: str
    department: str | None
    name: str
    file: VectorFile


def department_code(text: str) -> str:
    """Return a department as three characters.

    Examples
    --------
    >>> [department_code(text) for text in ("31", "2a", "D077", "974", "02B")]
    ['031', '02A', '077', '974', '02B']
    """
    return text.strip().upper().removeprefix("D").zfill(3)


def find_layers(
    path: Path, names: Collection[str], crs: str | None, problems: Problems
) -> tuple[DeliveryLayer, ...]:
    """Return the layers of given names below a folder, or in a file, ordered by delivery.

    Names are compared without case, accents and separators. Problems found: the path does
    not exist, or a GeoPackage cannot be opened (``E-PATH-MISSING``), a department is there
    twice (``E-DELIVERY-TWICE``).
    """
    spelt = {plain_name(name): name for name in names}
    found = tuple(
        replace(layer, name=spelt[plain_name(layer.name)])
        for layer in all_layers(path, crs, problems)
        if plain_name(layer.name) in spelt
    )
    if not found and path.is_file():
        report_archives(archives_left([path]), path, True, problems)
    _refuse_editions(found, path, problems)
    return found


def all_layers(path: Path, crs: str | None, problems: Problems) -> tuple[DeliveryLayer, ...]:
    """Return every layer below a folder, or in a file, ordered by delivery, by its own name.

    Problems found: those of `VectorFile.layers` and `report_archives`, and a path that does not
    exist (``E-PATH-MISSING``).
    """
    if not path.exists():
        hint = (
            "correct the path; relative paths begin at the configuration file; "
            "`oso fetch CONFIG --reference` gets RPG, BD TOPO and Corine Land Cover"
        )
        problems.error("E-PATH-MISSING", "the database does not exist", path, hint)
        return ()
    files = files_below(path)
    found = [
        DeliveryLayer(*_delivery(file, path), name, VectorFile(file, inner, crs))
        for file in files
        if file.suffix.lower() in _SUFFIXES or file == path
        for name, inner in _layers_of(file, problems)
    ]
    if path.is_dir():
        here = {layer.department for layer in found} - {None}
        left = archives_left(files, lambda name: _department(name) in here)
        report_archives(left, path, not found, problems)
    return tuple(sorted(found, key=lambda layer: (layer.delivery, layer.name, layer.file.path)))


def layers_there(path: Path) -> str:
    """Return the names of the layers below a path, for messages."""
    found = [file for file in files_below(path) if file.suffix.lower() in _SUFFIXES]
    names = sorted({file.stem for file in found})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "no .shp and no .gpkg"


def check_departments(
    layers: Sequence[DeliveryLayer], expected: Collection[str], path: Path, problems: Problems
) -> None:
    """Report all expected departments that are missing (``E-DELIVERY-DEPARTMENT``)."""
    present = {layer.department for layer in layers if layer.department}
    if missing := sorted({department_code(one) for one in expected} - present):
        found = ", ".join(sorted(present)) or "none found in names (_D077, _D02A)"
        message = f"departments {', '.join(missing)} are missing; found: {found}"
        hint = "put the delivery into the folder, or take the department out of `departments`"
        problems.error("E-DELIVERY-DEPARTMENT", message, path, hint)


def _layers_of(file: Path, problems: Problems) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each layer, and how to address it in its file."""
    if file.suffix.lower() != ".gpkg":
        yield file.stem, None
        return
    for name in VectorFile(file).layers(problems):
        yield name, name


def _delivery(file: Path, root: Path) -> tuple[str, str | None]:
    """Return by what name a delivery goes, and its department."""
    parts = [file.stem, *(parent.name for parent in file.parents)]
    for part in parts[: len(file.relative_to(root).parts) + 1]:
        if (department := _department(part)) is not None:
            return part, department
    return root.name, None


def _department(name: str) -> str | None:
    match = _DEPARTMENT.search(name)
    return None if match is None else department_code(match[1])


def _refuse_editions(layers: Sequence[DeliveryLayer], path: Path, problems: Problems) -> None:
    deliveries = defaultdict(set)
    for layer in layers:
        if layer.department is not None:
            deliveries[layer.department].add(layer.delivery)
    for department, names in sorted(deliveries.items()):
        if len(names) > 1:
            shown = ", ".join(sorted(names))
            message = f"department {department} is there {len(names)} times: {shown}"
            problems.error("E-DELIVERY-TWICE", message, path, "keep one edition, in one format")
