"""End of every training: the model file, and the summary of its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from oso_pipeline.adaptation import AdaptationRecord
from oso_pipeline.learners.protocol import Classifier
from oso_pipeline.learners.registry import learner_of, model_settings
from oso_pipeline.learning.confidence.tables import ConfidenceTables
from oso_pipeline.learning.jobs import TrainJob
from oso_pipeline.learning.model_file import Model
from oso_pipeline.learning.vintage import Vintage, written
from oso_pipeline.tasks.task import Summary


def model_of(
    job: TrainJob,
    classifier: Classifier,
    counts: Mapping[int, int],
    adaptation: AdaptationRecord | None = None,
    tables: ConfidenceTables | None = None,
) -> Model:
    """Return the model that a job has trained on `counts` pixels per class."""
    software = learner_of(job.learning.kind).software(job.learning)
    return Model(
        classifier=classifier,
        layout=job.layout,
        grid=job.date_grid,
        nomenclature=job.nomenclature.to_json(),
        variant=job.variant,
        stratum=job.stratum,
        seed=job.seed,
        counts=counts,
        parameters=model_settings(job.learning),
        software={name: version(name) for name in software},
        adaptation=adaptation,
        tables=tables,
    )


def summary_of(
    model: Model, polygons: int, warnings: Sequence[str], images: Mapping[str, Vintage]
) -> Summary:
    """Return the summary of a model for the log and the report; `images` are those of the tiles."""
    return {
        "variant": model.variant,
        "stratum": model.stratum,
        "pixels": {str(code): count for code, count in model.counts.items()},
        "polygons": polygons,
        "learner": model.classifier.kind,
        "facts": dict(model.classifier.facts),
        "images": written(images),
        "warnings": list(warnings),
    }
