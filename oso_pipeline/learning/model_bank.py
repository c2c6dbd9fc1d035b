"""Folders of models: those of a run, and banks of models by year and stratum."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import (
    publish_bytes,
    publish_json,
    read_sidecar,
    require_sound,
    sidecar_of,
)
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.json_files import ODD_VALUES, read_object
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.learning.model_description import (
    DESCRIPTION,
    Description,
    check_arrays,
    describe_model,
)
from oso_pipeline.reference.split.variants import WHOLE

ORIGIN = "origin.json"
"""File beside a model of a bank with its origin."""
_ACCURACY = "validation/accuracy.json"
_FIRST = "run0"
_HINT = "name a run folder, one of models/<variant> in it, or <year> of a model bank"


@dataclass(frozen=True)
class Origin:
    """Origin of a model.

    Parameters
    ----------
    run_id, run
        Id and name of the run that trained it; None if unknown.
    year
        Year of the map that it was trained for; None if unknown.
    as_of
        Day up to which images of that year trained it; None for all, and if unknown.
    accuracy
        ``overall_accuracy`` and ``kappa`` of that map with their intervals, and the pixels and
        polygons they are from, as in ``accuracy.json``; None where it was not measured.
    """

    run_id: str | None = None
    run: str | None = None
    year: int | None = None
    as_of: date | None = None
    accuracy: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the origin as JSON values."""
        accuracy = None if self.accuracy is None else dict(self.accuracy)
        day = {} if self.as_of is None else {"as_of": self.as_of.isoformat()}
        content = {"run_id": self.run_id, "run": self.run, "year": self.year, **day}
        return {**content, "accuracy": accuracy}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Origin:
        """Return the description of `to_json`; values of another type count as unknown."""
        texts = {key: v for key in ("run_id", "run") if isinstance(v := content.get(key), str)}
        year, accuracy = content.get("year"), content.get("accuracy")
        return cls(
            **texts,
            year=year if isinstance(year, int) else None,
            as_of=_day(content.get("as_of")),
            accuracy=accuracy if isinstance(accuracy, dict) else None,
        )

    @property
    def overall_accuracy(self) -> float | None:
        """Overall accuracy, 0 to 1; None where it is not known."""
        try:
            return float((self.accuracy or {})["overall_accuracy"]["estimate"])
        except ODD_VALUES:
            return None


def origin_of(folder: Path) -> Origin:
    """Return the origin of the model in `folder`, from the files beside it.

    A bank says so, and so does a model that a run was given; of a model in the run that trained it
    the run folder does, with the accuracy that was measured with just this model.
    """
    if content := read_object(folder / ORIGIN):
        return Origin.from_json(content)
    record = read_sidecar(folder / DESCRIPTION) or {}
    given = (record.get("summary") or {}).get("origin")
    if isinstance(given, dict):
        return Origin.from_json(given)
    if len(folder.absolute().parts) < 4 or folder.absolute().parents[1].name != "models":
        return Origin()
    run = folder.absolute().parents[2]
    mark = read_object(run / "run.json")
    year, as_of = _season_of(run)
    known = {"run_id": mark.get("run_id"), "run": mark.get("name"), "year": year, "as_of": as_of}
    return Origin.from_json({**known, "accuracy": _accuracy(run, folder, record)})


def find_models(folder: Path) -> dict[str, Path]:
    """Return the models that a folder offers for a map, by stratum.

    Of a run those of the variant that makes its map; of a folder ``models/<variant>`` or
    ``<year>`` of a bank those in it; of a bank with one year those of the year.

    Raises
    ------
    InputDataError
        If there is no model, or several sets of which none is the one (``E-MODEL-FOLDER``).
    """
    groups = _groups(folder)
    if not groups:
        message = "no models: no folder of a stratum with a model.json was found"
        raise InputDataError(Problem("E-MODEL-FOLDER", message, str(folder), _HINT))
    if len(groups) == 1:
        return next(iter(groups.values()))
    makes_maps = [name for name in (WHOLE, _FIRST) if name in groups]
    if len(makes_maps) == 1:
        return groups[makes_maps[0]]
    message = f"several sets of models: {', '.join(groups)}; expected one"
    raise InputDataError(Problem("E-MODEL-FOLDER", message, str(folder), f"name one: {_HINT}"))


def all_models(folder: Path) -> Iterator[tuple[Path, Description]]:
    """Yield every model of a folder with what it says of itself, as `find_models` looks for them.

    Raises
    ------
    InputDataError
        If there is none, or one cannot be used.
    """
    groups = _groups(folder)
    if not groups:
        find_models(folder)
    for models in groups.values():
        for path in models.values():
            yield path, describe_model(path)


def export_models(run: Path, bank: Path) -> list[Path]:
    """Copy the models that make the map of a run to a bank, ``<year>/<stratum>/`` each.

    With each go its commit records and, as ``origin.json``, its run, year and accuracy. A model
    that is there already stays.

    Returns
    -------
    list of Path
        The folders in the bank.

    Raises
    ------
    InputDataError
        If a model is damaged, the year is not known, or the bank has another model of a year and
        stratum (``E-MODEL-BANK``); nothing is written then.
    """
    targets = {}
    for stratum, folder in find_models(run).items():
        model, origin = describe_model(folder), origin_of(folder)
        check_arrays(model)
        if origin.year is None:
            message = "the year of the model is not known: it lies in no run folder and in no bank"
            raise InputDataError(Problem("E-MODEL-BANK", message, str(folder), _HINT))
        target = bank / str(origin.year) / stratum
        if (target / DESCRIPTION).exists() and describe_model(target).sha256 != model.sha256:
            message = f"the bank has another model of {origin.year} and stratum {stratum}"
            hint = "name another bank, or remove that model"
            raise InputDataError(Problem("E-MODEL-BANK", message, str(target), hint))
        targets[target] = model, origin
    for target, (model, origin) in targets.items():
        _copy(model, origin, target)
    return [*targets]


def _copy(model: Description, origin: Origin, target: Path) -> None:
    """Copy a model; the description comes last, as it names the digest of the arrays."""
    publish_json(target / ORIGIN, origin.to_json())
    for path in (model.arrays, model.path):
        publish_bytes(target / path.name, read_regular(path))
        if sidecar_of(path).is_file():
            publish_bytes(target / sidecar_of(path).name, read_regular(sidecar_of(path)))


def _groups(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the sets of models: by variant or year, then by stratum."""
    if here := _strata(folder):
        return {folder.name: here}
    for above in (folder / "models", folder):
        found = {one.name: _strata(one) for one in sorted(_folders(above))}
        if groups := {name: models for name, models in found.items() if models}:
            return groups
    return {}


def _strata(folder: Path) -> dict[str, Path]:
    return {one.name: one for one in sorted(_folders(folder)) if (one / DESCRIPTION).is_file()}


def _folders(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if one.is_dir()]
    except OSError:  # absent, or reported by the check of paths
        return []


def _season_of(run: Path) -> tuple[int | None, str | None]:
    """Return the year of the map of a run and `imagery.as_of`, from its configuration."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(read_regular(run / "config.yaml"))
        as_of = (content.get("imagery") or {}).get("as_of")
        return int(content["year"]), None if as_of is None else str(as_of)
    except (OSError, YAMLError, RecursionError, *ODD_VALUES):
        return None, None


def _day(text: Any) -> date | None:
    """Return a day written as YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ODD_VALUES:
        return None


def _accuracy(run: Path, folder: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the accuracy of a run if it was measured with a model, or with folds beside it."""
    measured = read_sidecar(run / _ACCURACY)
    if measured is None:
        return None
    recipe = measured.get("recipe") or {}
    key = (recipe.get("inputs") or {}).get(f"train/{folder.parent.name}/{folder.name}")
    folds = bool((recipe.get("params") or {}).get("folds"))
    if key != record.get("key") and not (folds and key is None):
        return None
    require_sound(run / _ACCURACY)
    content = json.loads(read_regular(run / _ACCURACY))
    names = ("overall_accuracy", "kappa", "pixels", "polygons")
    return {name: content[name] for name in names if name in content}
