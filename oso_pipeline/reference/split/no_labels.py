"""The reference of a season in which no label holds: all is learnt from other seasons."""

from __future__ import annotations

import pyarrow as pa

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.polygons.cell_file import write_empty
from oso_pipeline.reference.split.jobs import NoReferenceJob
from oso_pipeline.tasks.task import Summary, Task


def publish_no_reference(job: NoReferenceJob, task: Task) -> Summary:
    """Publish a reference without polygons, so that nothing trains and nothing evaluates.

    Returns
    -------
    dict
        As of the reference with polygons; ``warnings`` say what that means.
    """
    kind = pa.int8() if job.split.folds else pa.string()
    write_empty(task.output(), job.epsg, dict.fromkeys(job.split.columns, kind))
    problems = Problems()
    problems.warn(
        "W-SEASON-NO-LABELS",
        f"no label of {job.labels_of} is known: all classes are learnt from past years, and "
        "no polygon evaluates the map",
        None,
        "name a set in validation.independent, or evaluate a past year with "
        "`oso evaluate-adaptation --hide all`",
    )
    return {
        "polygons": 0,
        "rows": 0,
        "left_out": {},
        "reprojected": {},
        "classes": {},
        "reasons": {},
        "books": [],
        "splits": {},
        "warnings": [str(warning) for warning in problems.warnings],
    }
