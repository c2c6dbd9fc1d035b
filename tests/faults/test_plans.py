"""What is damaged in a run folder must not stop the plan that would make it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.minimal_config import minimal_config

from oso_pipeline.config import Config
from oso_pipeline.core.commit import write_sidecar
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.label_stage import STAGE as LABELS
from oso_pipeline.tasks.task import Task


@dataclass
class Context:
    config: Config
    samples: tuple[Task, ...]

    @property
    def run_dir(self) -> Path:
        return self.config.run_dir

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return self.samples


@pytest.mark.fault(
    row=44,
    injected="truncated samples, with and without commit, when training is planned",
    outcome="the plan uses commit records only (the soak test found a traceback here)",
)
def test_cut_samples_do_not_stop_the_plan(tmp_path: Path) -> None:
    task = Task("samples", "31TCJ", "nowhere:nothing", tmp_path, ("31TCJ.parquet",))
    context = Context(minimal_config(tmp_path), (task,))
    unknown = training_cost(context, None, context.config.learning)
    task.output().write_bytes(b"PAR1 and no more")
    assert training_cost(context, None, context.config.learning) == unknown
    summary = {"pixels": {"11": 300, "12": 200}}
    write_sidecar(task.output(), {"key": task.key, "summary": summary})
    assert training_cost(context, None, context.config.learning).pixels == 500


def test_label_checks_declare_what_they_were_seen_to_use(tmp_path: Path) -> None:
    """Even a small one used 795 MB in a worker that had read images before."""
    task = Task("samples", "31TCJ", "nowhere:nothing", tmp_path, ("31TCJ.parquet",))
    checks = LABELS.plan(Context(minimal_config(tmp_path), (task,)))
    assert checks
    assert all(check.cost.memory_bytes > 795e6 for check in checks)
