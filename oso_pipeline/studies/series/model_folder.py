"""Models trained by hand go into the chain, and those of the chain classify tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.validation import check_is_fitted

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.learners.registry import late_settings, learner_of, model_settings
from oso_pipeline.learning.model_bank import ORIGIN, Origin, find_models
from oso_pipeline.learning.model_description import DESCRIPTION
from oso_pipeline.learning.model_file import Model
from oso_pipeline.learning.model_file import load_model as load_model_file
from oso_pipeline.learning.model_file import save_model as save_model_file
from oso_pipeline.studies.series.classifier import SeriesClassifier
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name
from oso_pipeline.studies.series.features import BandScale, FeatureSpace, indices_of
from oso_pipeline.studies.series.given_forest import VARIANT, model_of_forest, refuse_model
from oso_pipeline.studies.series.inputs import settings_of
from oso_pipeline.studies.series.labels import Legend
from oso_pipeline.vectors.strata import WHOLE_MAP, fits_a_folder


def save_model(
    model: SeriesClassifier | RandomForestClassifier,
    folder: Path | str,
    *,
    nomenclature: str = "oso17",
    stratum: str = WHOLE_MAP,
    year: int | None = None,
) -> Path:
    """Save a model that was trained by hand as the chain saves its own, and read it back.

    ``learning.model: FOLDER`` then maps with it, ``oso apply CONFIG --model FOLDER`` too, and
    ``oso export-models FOLDER BANK`` puts it into a bank. Bands, indices, season, nomenclature and
    learner are checked against the configuration before any work.

    Parameters
    ----------
    model
        A :class:`SeriesClassifier` with `grid` whose labels are codes of the nomenclature, or a
        ``RandomForestClassifier`` of scikit-learn that was trained on the
        features of the samples of a run: a DataFrame with the columns ``B2_20180101`` ... in
        the order of the run, labels being codes.
    folder
        Gets a folder with the name of the stratum; models of several strata may share it.
    nomenclature
        As in the configuration: ``oso17``, ``oso23`` or the path of a file.
    stratum
        Name of the region that the model is for; ``all`` where the map has no strata.
    year
        Year of the map that the model was trained for; a bank asks for it.

    Returns
    -------
    Path
        The folder of the model.

    Raises
    ------
    InputDataError
        If the model cannot serve the chain (``E-SERIES-MODEL``): labels are not codes, features are
        not those of the map, or the dates are not a grid. It is a ValueError too.

    Examples
    --------
    >>> from datetime import date
    >>> from tempfile import mkdtemp
    >>> from oso_pipeline import DateGrid, SeriesClassifier, load_model, save_model
    >>> from oso_pipeline import simulate_series
    >>> table = simulate_series(120, seed=1)
    >>> grid = DateGrid(date(2018, 1, 1), date(2018, 12, 31), 20)
    >>> model = SeriesClassifier(grid=grid, scale=10_000, learning={"n_trees": 10})
    >>> model = model.fit(table, table["code"])
    >>> folder = save_model(model, mkdtemp(), nomenclature="oso23")
    >>> again = load_model(folder, scale=10_000)
    >>> bool((again.predict(table) == model.predict(table)).all())
    True
    """
    made = _of_series(model) if isinstance(model, SeriesClassifier) else model_of_forest(model)
    classes = load_nomenclature(nomenclature)
    _refuse_classes(made, classes)
    if not stratum or not fits_a_folder(stratum):
        refuse_model(
            f"{stratum!r} cannot be the name of a stratum",
            "use letters, digits, spaces, hyphens, underscores and points",
        )
    place = Path(folder) / stratum
    publish_json(place / ORIGIN, Origin(year=year).to_json())
    save_model_file(place, replace(made, stratum=stratum, nomenclature=classes.to_json()))
    load_model_file(place)
    return place


def load_model(
    folder: Path | str,
    stratum: str | None = None,
    *,
    scale: float = 1,
    learning: Mapping[str, Any] | None = None,
) -> SeriesClassifier:
    """Return a model of the chain as a trained classifier of tables.

    Parameters
    ----------
    folder
        A run folder, one of ``models/<variant>`` in it, a model bank of one year, what
        :func:`save_model` returned, or the folder it was given.
    stratum
        Which of several models.
    scale
        Values of tables times this are reflectances in units of 1e-4.
    learning
        Settings that count when a model is used, as ``{"vote": "soft"}``.

    Returns
    -------
    SeriesClassifier
        Its labels are the codes of the nomenclature.

    Raises
    ------
    InputDataError
        If there is no model, it was altered, or there are several (``E-MODEL-FOLDER``).
    UnknownName
        If there is no model of that stratum (``E-MODEL-STRATA``).

    Examples
    --------
    >>> model = load_model("runs/2018")  # doctest: +SKIP
    >>> model.predict(table)  # doctest: +SKIP
    """
    model = load_model_file(_folder_of(Path(folder), stratum))
    group, kind = model.layout.series, model.classifier.kind
    n_bands = len(group.bands)
    made = SeriesClassifier(
        bands=group.bands,
        grid=model.grid,
        indices=indices_of(group),
        derived=group.derived,
        scale=scale,
        learning={"kind": kind, **model.parameters, **(learning or {})},
    )
    made.settings_ = settings_of(made)
    exact = BandScale(np.full(n_bands, float(scale)), np.zeros(n_bands), True)
    made.space_ = FeatureSpace(model.layout, True, exact)
    made.classifier_ = model.with_settings(late_settings(made.settings_)).classifier
    made.classes_ = made.classifier_.classes
    made.legend_ = Legend(made.classes_, made.classes_)
    made.n_features_in_ = n_bands * len(group.dates or ())
    made.counts_, made.seed_, made.adaptation_ = dict(model.counts), model.seed, model.adaptation
    return made


def _folder_of(folder: Path, stratum: str | None) -> Path:
    """Return the folder of one model."""
    if (folder / DESCRIPTION).is_file():
        return folder
    found = find_models(folder)
    if stratum is not None and stratum not in found:
        refuse_name(
            "E-MODEL-STRATA",
            f"there is no model of {stratum}, there are those of {listed(found)}",
            "name one of these as `stratum`",
            folder,
        )
    if stratum is None and len(found) > 1:
        refuse(
            "E-MODEL-FOLDER",
            f"there are models of several strata: {listed(found)}",
            "name one as `stratum`",
            folder,
        )
    return found[stratum or next(iter(found))]


def _of_series(model: SeriesClassifier) -> Model:
    """Return the model of the chain that a trained classifier is, without its classes."""
    check_is_fitted(model, "classifier_")
    space, settings, legend = model.space_, model.settings_, model.legend_
    if model.grid is None:
        refuse_model(
            "the classifier was trained on the dates of its table, the chain needs a grid",
            "set `grid` to the season of the configuration: DateGrid(start, end, step_days)",
        )
    if not space.scale.exact or model.scale not in (None, 1, 10_000):
        refuse_model(
            "the classifier was not trained on reflectances in units of 1e-4",
            "set `scale`: 10000 for reflectances from 0 to 1, 1 for the samples of a run",
        )
    if legend.labels.dtype.kind not in "iu" or not np.array_equal(legend.labels, legend.codes):
        refuse_model(
            f"labels are {listed(legend.labels)}, expected codes of the nomenclature",
            "train with codes from 1 to 65535 as labels",
        )
    return Model(
        classifier=model.classifier_,
        layout=space.layout,
        grid=model.grid,
        nomenclature={},
        variant=VARIANT,
        stratum="",
        seed=model.seed_,
        counts=model.counts_,
        parameters=model_settings(settings),
        software={name: version(name) for name in learner_of(settings.kind).software(settings)},
        adaptation=model.adaptation_,
    )


def _refuse_classes(model: Model, classes: Nomenclature) -> None:
    bands = model.layout.series.bands
    if odd := [band for band in bands if band not in SENTINEL2.names]:
        refuse_model(
            f"bands {listed(odd)} are not among those of the chain, {listed(SENTINEL2.names)}",
            "train with bands of Sentinel-2 alone",
        )
    if others := sorted(set(model.classifier.classes.tolist()) - set(classes.codes)):
        refuse_model(
            f"labels {listed(others)} are not codes of {classes.name}, which has "
            f"{listed(classes.codes)}",
            "name the nomenclature of the labels",
        )
