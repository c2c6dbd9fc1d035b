"""What stages know of a configuration before any work, all at once."""

from __future__ import annotations

from collections.abc import Iterable

from oso_pipeline.config import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.tasks.stage import Stage


def check_stages(config: Config, stages: Iterable[Stage]) -> Problems:
    """Return what all stages find, in their order."""
    problems = Problems()
    for stage in stages:
        problems.extend(stage.check(config))
    return problems
