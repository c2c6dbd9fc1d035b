"""Forests of stage ``train`` that learn from past seasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from oso_pipeline.adaptation import AdaptationOptions, AdaptationRecord, SeriesSpace
from oso_pipeline.config.adaptation import Adaptation
from oso_pipeline.config.model import Config, Learning
from oso_pipeline.config.seasons import past_config, past_years, perennial_codes
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.engines import SOFTWARE
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.label_stage import excluded_polygons
from oso_pipeline.learning.model_file import Model, date_grid_from_json, save_model
from oso_pipeline.learning.season_samples import (
    SeasonFiles,
    held_out_polygons,
    read_anchors,
    read_pooled,
    read_unlabelled,
    refuse_shared_polygons,
)
from oso_pipeline.learning.training_set import Choice, check_classes, expected_polygons
from oso_pipeline.tasks.past_seasons import past_tasks
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout

COST = 3.0
"""An adapted forest takes up to this many times as long as a plain one."""

_COPIES = 2
"""Tables of features held besides those of a plain forest: series moved, and the student's."""

_TABLES_OF_TARGET, _LIBRARIES_BYTES = 6, 200_000_000
"""Tables of the unlabelled samples in float64 while shift and neighbours are looked for, and the
libraries that this loads; peaks of 0.8 GB (demo) and 1.7 GB (220,000 samples) were measured."""

_OF_OTHER_STAGES = {"sources", "perennial_classes", "perennial_span_years"}


def adapted_task(task: Task, context: PlanContext[Config], adaptation: Adaptation) -> Task:
    """Return the task that trains the same forest with samples of past seasons."""
    config, seasons, made = context.config, [], []
    for year in past_years(config):
        past, (reference,) = past_config(config, year), past_tasks(context, "reference", year)
        samples = past_tasks(context, "samples", year)
        made += [reference, *samples]
        seasons.append(
            {
                "year": year,
                "layout": FeatureLayout.of(past).to_json(),
                "samples": sorted(one.outputs[0] for one in samples),
                "reference": reference.outputs[0],
            }
        )
    unlabelled = sorted(one.outputs[1] for one in context.tasks("samples"))
    most = len(seasons) * (config.sampling.max_train_pixels or 10_000)
    plain = training_cost(context, most, config.learning, "past_samples")
    return replace(
        task,
        function="oso_pipeline.learning.adapted_training:train",
        params={
            **task.params,
            "adaptation": adaptation.model_dump(mode="json", exclude=_OF_OTHER_STAGES),
            "perennial": list(perennial_codes(config)),
            "seasons": {str(s["year"]): s["layout"] for s in seasons},
        },
        inputs={**task.inputs, **{f"{one.stage}/{one.name}": one.key for one in made}},
        options={**task.options, "seasons": seasons, "unlabelled": unlabelled},
        cost=replace(
            plain,
            core_seconds=COST * plain.core_seconds,
            memory_bytes=plain.memory_bytes
            + _COPIES * plain.bytes_read
            + _TABLES_OF_TARGET * 8 * adaptation.target_sample_size * FeatureLayout.of(config).size
            + _LIBRARIES_BYTES,
        ),
    )


def train(task: Task) -> Summary:
    """Train a forest with samples of past seasons and publish its model file.

    Raises
    ------
    InputDataError
        If a class has no pixel in any past season, there is one class only, or a polygon both
        trains and judges.
    """
    from oso_pipeline.adaptation import AdaptedForestClassifier

    params, options = task.params, task.options
    layout = FeatureLayout.from_json(params["layout"])
    excluded = [excluded_polygons(task.input_path(path)) for path in options["labels"]]
    choice = Choice(
        params["variant"], params["stratum"], tuple(params["columns"]), params["max_pixels"]
    )
    seasons = {season["year"]: _files(task, season) for season in options["seasons"]}
    source = read_pooled(seasons, choice)
    expected: Counter[int] = Counter()
    references = [task.input_path(season["reference"]) for season in options["seasons"]]
    for path in references:
        expected.update(expected_polygons(path, choice))
    problems = check_classes(
        source.counts, expected, choice, params["allow_missing"], references[0]
    )
    problems.raise_errors(InputDataError)
    reference = task.input_path(options["reference"])
    held_out = held_out_polygons(reference, choice)
    here = SeasonFiles(tuple(map(task.input_path, options["samples"])), layout)
    without = tuple(polygon for polygons in excluded for polygon in polygons)
    anchors = read_anchors(here, replace(choice, without=without), params["perennial"])
    refuse_shared_polygons(anchors, held_out)
    drawn = [task.input_path(path) for path in options["unlabelled"]]
    size = params["adaptation"]["target_sample_size"]
    unlabelled = read_unlabelled(drawn, layout, choice, held_out, size)
    settings = Learning(**{n: params[n] for n in Learning.model_fields if n != "vote"})
    classifier = AdaptedForestClassifier(
        method=params["adaptation"]["method"],
        space=SeriesSpace.of(layout),
        forest=settings,
        options=_options(params["adaptation"]),
        gate=params["adaptation"]["gate"],
        random_state=derived_seed(params["seed"], "train", choice.stratum, choice.variant),
        n_jobs=options["threads"],
    ).fit(
        source.features,
        source.codes,
        polygons=source.polygon_id,
        target=unlabelled.features,
        target_polygons=unlabelled.polygon_id,
        anchors=anchors.features,
        anchor_labels=anchors.codes,
        anchor_polygons=anchors.polygon_id,
        perennial_classes=params["perennial"],
        target_classes=np.unique(pq.read_table(reference, columns=["code"])["code"].to_numpy()),
    )
    model = Model(
        forest=classifier.forest_,
        layout=layout,
        grid=date_grid_from_json(params["date_grid"]),
        nomenclature=params["nomenclature"],
        variant=choice.variant,
        stratum=choice.stratum,
        seed=params["seed"],
        counts=source.counts,
        parameters=settings.model_dump(mode="json", exclude={"vote"}),
        software={name: version(name) for name in SOFTWARE[settings.engine]},
        adaptation=classifier.record_,
    )
    save_model(task.output().parent, model)
    return _summary(model, source.polygons, classifier.record_, list(problems.warnings))


def _files(task: Task, season: Mapping[str, Any]) -> SeasonFiles:
    layout = FeatureLayout.from_json(season["layout"])
    return SeasonFiles(tuple(map(task.input_path, season["samples"])), layout)


def _options(given: Mapping[str, Any]) -> AdaptationOptions:
    return AdaptationOptions(**{f.name: given[f.name] for f in fields(AdaptationOptions)})


def _summary(model: Model, polygons: int, record: AdaptationRecord, warnings: list[Any]) -> Summary:
    place = f"model {model.variant}, stratum {model.stratum}"
    gate = record.gate
    return {
        "variant": model.variant,
        "stratum": model.stratum,
        "pixels": {str(code): count for code, count in model.counts.items()},
        "polygons": polygons,
        "engine": model.parameters["engine"],
        "trees": model.forest.n_trees,
        "nodes": model.forest.n_nodes,
        "adaptation": {
            "method": record.method,
            "adapted": gate.adapted,
            "reason": gate.reason,
            "shift_days": gate.shift_days,
            "discrepancy": gate.discrepancy,
            "confidence_drop": gate.confidence_drop,
            "target_samples": record.target_samples,
            "anchor_samples": record.anchor_samples,
        },
        "warnings": [
            *map(str, warnings),
            *(f"warning[W-ADAPTATION] {place}: {text}" for text in record.warnings),
        ],
    }
