"""What training takes; for planning only."""

from __future__ import annotations

from oso_pipeline.config.model import Config, Learning
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_SECONDS_PER_VALUE_AND_TREE = {"histogram": 6e-9, "sklearn": 6e-8}
"""Per pixel, feature tried and level of the tree, measured on 230,000 pixels of 23 classes."""
_BYTES_PER_VALUE = {"histogram": 6, "sklearn": 8}
"""Features as int16, once more while they are joined, and as bins or in float32."""

_PIXELS_PER_NODE, _BYTES_PER_NODE = 100, 19
"""Training pixels for each node of a tree, and its size in the model file, as measured."""


def training_cost(
    context: PlanContext[Config],
    per_class: int | None,
    learning: Learning,
    stage: str = "samples",
) -> Cost:
    """Return what a forest takes on at most `per_class` pixels of each class.

    Once the samples of `stage` are committed no more pixels are expected than there are rows.
    """
    config = context.config
    layout = FeatureLayout.of(config)
    pixels = len(load_nomenclature(config.nomenclature).codes) * (per_class or 10_000)
    # What the commit says: a file may be damaged, and a plan must not fail of that.
    records = [read_sidecar(task.output()) for task in context.tasks(stage)]
    if records and all(records):
        rows = [sum(record["summary"]["pixels"].values()) for record in records if record]
        pixels = min(pixels, sum(rows))
    values = pixels * layout.size
    tried = layout.size**0.5 * learning.max_depth
    seconds = pixels * tried * learning.n_trees * _SECONDS_PER_VALUE_AND_TREE[learning.engine]
    memory = 300_000_000 + values * _BYTES_PER_VALUE[learning.engine]
    nodes = learning.n_trees * pixels // _PIXELS_PER_NODE
    return Cost(pixels, 2 * values, memory, 1.0 + seconds, bytes_written=nodes * _BYTES_PER_NODE)
