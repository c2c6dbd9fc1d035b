"""Description of a model in ``model.json``, read without its arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from oso_pipeline.config.learning import DEFAULT_KIND
from oso_pipeline.core.commit import digest, sha256_file
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.core.json_files import ODD_VALUES
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.learners.protocol import Classifier
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout

FORMAT = 2
"""Version of the file format."""

DESCRIPTION = "model.json"
"""Name of the description in the folder of a model."""

RETRAIN = "train the model again: remove its folder and run `oso run` again"
ALTERED = "the arrays of the model were altered or cut: their sha256 does not fit"


def arrays_name(kind: str) -> str:
    """Return the name of the file of arrays in the folder of a model of a kind."""
    return f"{kind}.npz"


@dataclass(frozen=True)
class Description:
    """Description of a model, read without its arrays.

    Parameters
    ----------
    path
        Its file.
    sha256
        Digest of the content, which holds that of the arrays: one for equal models.
    kind
        The learner.
    arrays_sha256
        Digest of the arrays.
    layout, grid
        Features expected, and their dates.
    codes
        Codes of the nomenclature, ascending.
    variant, stratum
        Which training rows it saw.
    counts
        Training pixels per class code.
    parameters
        Settings of the learner.
    calibrated
        Whether it has a calibration.
    """

    path: Path
    sha256: str
    kind: str
    arrays_sha256: str | None
    layout: FeatureLayout
    grid: DateGrid
    codes: tuple[int, ...]
    variant: str
    stratum: str
    counts: Mapping[int, int]
    parameters: Mapping[str, Any]
    calibrated: bool

    @property
    def arrays(self) -> Path:
        """File of the arrays."""
        return self.path.parent / arrays_name(self.kind)


def describe_model(folder: Path) -> Description:
    """Read the description of the model in `folder`, and see whether its learner is there.

    Raises
    ------
    InputDataError
        As `load_model`, but for the arrays, which are not looked at.
    """
    path = folder / DESCRIPTION
    content = read_description(path)
    kind = content.get("kind", DEFAULT_KIND)
    classifier_of(path, kind)
    try:
        _require(content)
        codes = sorted(int(one["code"]) for one in content["nomenclature"]["classes"])
        return Description(
            path=path,
            sha256=digest(content),
            kind=kind,
            arrays_sha256=digest_of_arrays(content),
            layout=FeatureLayout.from_json(content["layout"]),
            grid=DateGrid.from_json(content["date_grid"]),
            codes=tuple(codes),
            variant=content["variant"],
            stratum=content["stratum"],
            counts={int(code): int(n) for code, n in content["training_counts"].items()},
            parameters=content["parameters"],
            calibrated="confidence" in content,
        )
    except (*ODD_VALUES, AttributeError) as error:
        raise refusal(path, f"the description of the model cannot be used: {error!r}") from None


def _require(content: Mapping[str, Any]) -> None:
    """Raise TypeError where a part of a description is of another kind."""
    kinds = {"variant": str, "stratum": str, "seed": int, "parameters": dict, "software": dict}
    for name, kind in kinds.items():
        if not isinstance(content.get(name), kind):
            raise TypeError(f"{name} is no {kind.__name__}")


def check_arrays(model: Description) -> None:
    """Compare the arrays of a model with the digest in its description.

    Raises
    ------
    InputDataError
        If they are missing, or not what was written.
    """
    try:
        state = model.arrays.stat()
        found = _sha256(model.arrays, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise refusal(model.arrays, f"the model cannot be read: {error}") from None
    if found != model.arrays_sha256:
        raise refusal(model.arrays, ALTERED)


def read_description(path: Path) -> dict[str, Any]:
    """Return the description of a model after a check of its digest and its format."""
    try:
        description = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(path, f"the model cannot be read: {error}") from None
    if not isinstance(description, dict):
        raise refusal(path, "the description of the model is not a JSON object")
    claimed = description.pop("sha256", None)
    if digest(description) != claimed:
        raise refusal(path, "the description of the model was altered: its sha256 does not fit")
    if description.get("format") != FORMAT:
        found = description.get("format")
        raise refusal(path, f"model format {found!r} found, this version reads {FORMAT}")
    return description


def digest_of_arrays(description: Mapping[str, Any]) -> str | None:
    """Return the digest of the arrays that a description names; 0.1 called it otherwise."""
    claimed: str | None = description.get("arrays_sha256", description.get("forest_sha256"))
    return claimed


def classifier_of(path: Path, kind: str) -> type[Classifier]:
    """Return the class of the classifiers of a kind; InputDataError where it is not installed."""
    try:
        return learner_of(kind).classifier
    except ConfigError as error:
        hint = "install the package that offers this learner, or train the model again"
        message = f"the model was made by the learner {kind!r}: {error.problems[0].message}"
        raise InputDataError(Problem("E-INPUT-MODEL", message, str(path), hint)) from None


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    return sha256_file(path)


def refusal(path: Path, message: str) -> InputDataError:
    """Return the error of a file of a model that cannot be used (``E-INPUT-MODEL``)."""
    return InputDataError(Problem("E-INPUT-MODEL", message, str(path), RETRAIN))
