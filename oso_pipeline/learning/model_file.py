"""The model file: a JSON description beside plain arrays, never a pickle.

``model.json`` says which learner made the arrays, as in ``forest.npz``, what from, and what they
expect, and carries a digest of both. Loading runs no code from the files and refuses what was
altered.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from oso_pipeline.adaptation.record import AdaptationRecord
from oso_pipeline.config.learning import DEFAULT_KIND
from oso_pipeline.core.commit import digest, publish_bytes, publish_json
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.learners.protocol import Arrays, Classifier
from oso_pipeline.learning.confidence.tables import ConfidenceTables, without_tables
from oso_pipeline.learning.model_description import (
    ALTERED,
    DESCRIPTION,
    FORMAT,
    arrays_name,
    classifier_of,
    digest_of_arrays,
    read_description,
    refusal,
)
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_LINES_OF_DIFFERENCE = 20


@dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier and all that is needed to use it rightly.

    Parameters
    ----------
    classifier
        Fitted classifier.
    layout
        Features expected, in order.
    grid
        Dates of the features.
    nomenclature
        Content of the nomenclature, as its ``to_json`` returns.
    variant, stratum
        Which training rows it saw.
    seed
        Seed of the run.
    counts
        Training pixels per class code.
    parameters
        Settings of the learner.
    software
        Versions of the libraries that made it.
    adaptation
        Record of the adaptation to the season of the map; None without past seasons.
    tables
        Its calibration; None without one.
    """

    classifier: Classifier
    layout: FeatureLayout
    grid: DateGrid
    nomenclature: Mapping[str, Any]
    variant: str
    stratum: str
    seed: int
    counts: Mapping[int, int]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    adaptation: AdaptationRecord | None = None
    tables: ConfidenceTables | None = None

    def with_settings(self, settings: Mapping[str, Any]) -> Model:
        """Return the model whose classifier follows the settings that do not count in training.

        Its calibration is lost where it holds for other settings.
        """
        holds = self.tables is not None and dict(self.tables.settings) == dict(settings)
        made = self.classifier.with_settings(settings)
        return replace(self, classifier=made, tables=self.tables if holds else None)

    def refuse_layout(self, layout: FeatureLayout, where: Path | None = None) -> None:
        """Raise InputDataError with the differences unless `layout` is that of the model."""
        self._refuse(layout.names, where)
        theirs, ours = (
            [one.definition for group in each.groups for one in group.defined]
            for each in (self.layout, layout)
        )
        if set(theirs) != set(ours):
            self._fail("the model defines indices otherwise", theirs, ours, where)

    def refuse_columns(self, columns: Iterable[str], where: Path | None = None) -> None:
        """Raise InputDataError with the differences unless a table has every feature."""
        there = set(columns)
        self._refuse(tuple(name for name in self.layout.names if name in there), where)

    def _refuse(self, names: tuple[str, ...], where: Path | None) -> None:
        if names == self.layout.names:
            return
        message = (
            f"the model expects {self.layout.size} features, the data have {len(names)}, and "
            "they differ in name or order"
        )
        self._fail(message, self.layout.names, names, where)

    def _fail(
        self, message: str, theirs: Sequence[str], ours: Sequence[str], where: Path | None
    ) -> NoReturn:
        difference = list(unified_diff(theirs, ours, "model", "data", lineterm="", n=0))
        shown = difference[:_LINES_OF_DIFFERENCE]
        if len(difference) > len(shown):
            shown.append(f"... and {len(difference) - len(shown)} lines more")
        text = f"{message}:\n    " + "\n    ".join(shown)
        hint = "use the season, imagery.bands and features of the model, or train again"
        raise InputDataError(Problem("E-MODEL-FEATURES", text, _text(where), hint))


def save_model(folder: Path, model: Model) -> None:
    """Write `model` to `folder`, each file all or nothing; equal models make equal bytes."""
    classifier = model.classifier
    tables = {} if model.tables is None else model.tables.arrays()
    arrays = _npz({**classifier.arrays(), **tables})
    description: dict[str, Any] = {
        "format": FORMAT,
        "kind": classifier.kind,
        "classes": [int(code) for code in classifier.classes],
        "facts": dict(classifier.facts),
        "layout": model.layout.to_json(),
        "features": list(model.layout.names),
        "date_grid": model.grid.to_json(),
        "nomenclature": dict(model.nomenclature),
        "variant": model.variant,
        "stratum": model.stratum,
        "seed": model.seed,
        "training_counts": {str(code): int(n) for code, n in sorted(model.counts.items())},
        "parameters": dict(model.parameters),
        "software": dict(model.software),
        "arrays_sha256": sha256(arrays).hexdigest(),
    }
    if model.adaptation is not None:
        description["adaptation"] = model.adaptation.to_json()
    if model.tables is not None:
        description["confidence"] = dict(model.tables.facts)
    publish_bytes(folder / arrays_name(classifier.kind), arrays)
    publish_json(folder / DESCRIPTION, {**description, "sha256": digest(description)})


def load_model(folder: Path) -> Model:
    """Read the model in `folder`.

    Raises
    ------
    InputDataError
        If a file is missing, damaged or altered, of a format that this version does not support, or
        of a learner that is not installed.
    """
    path = folder / DESCRIPTION
    description = read_description(path)
    kind = description.get("kind", DEFAULT_KIND)  # 0.1 had forests only
    classifier = classifier_of(path, kind)
    layout = FeatureLayout.from_json(description["layout"])
    arrays = _arrays(folder / arrays_name(kind), digest_of_arrays(description))
    try:
        tables = ConfidenceTables.from_arrays(
            arrays, len(description["classes"]), _calibrated_settings(description)
        )
        made = classifier.from_arrays(without_tables(arrays), layout)
    except ValueError as error:
        message = f"the arrays of the model are unsafe: {error}"
        raise refusal(folder / arrays_name(kind), message) from None
    return Model(
        classifier=made,
        layout=layout,
        grid=DateGrid.from_json(description["date_grid"]),
        nomenclature=description["nomenclature"],
        variant=description["variant"],
        stratum=description["stratum"],
        seed=description["seed"],
        counts={int(code): n for code, n in description["training_counts"].items()},
        parameters=description["parameters"],
        software=description["software"],
        adaptation=_record(path, description.get("adaptation")),
        tables=tables,
    )


def _arrays(path: Path, claimed: str | None) -> Arrays:
    """Return the arrays of a model after a check of their digest."""
    try:
        content = read_regular(path)
    except OSError as error:
        raise refusal(path, f"the model cannot be read: {error}") from None
    if sha256(content).hexdigest() != claimed:
        raise refusal(path, ALTERED)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise refusal(path, f"the arrays of the model cannot be read: {error}") from None


@lru_cache(maxsize=2)
def cached_model(folder: Path, key: str) -> Model:
    """Return the model in `folder`, loaded once per process and per `key` of its task."""
    return load_model(folder)


def _npz(arrays: Arrays) -> bytes:
    """Return the arrays as an uncompressed npz; entries carry no time of writing."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _calibrated_settings(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that a calibration holds for; ValueError where they are no mapping."""
    settings = description.get("confidence", {}).get("settings", {})
    if not isinstance(settings, dict):
        raise ValueError("the settings of the calibration are no mapping")
    return settings


def _record(path: Path, content: Mapping[str, Any] | None) -> AdaptationRecord | None:
    if content is None:
        return None
    try:
        return AdaptationRecord.from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise refusal(path, f"the record of the adaptation cannot be read: {error}") from None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
