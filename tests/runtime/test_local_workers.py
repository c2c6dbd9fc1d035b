"""Workers of a local cluster that dask gives up, and the end of the cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support import PYTHONPATH
from support.minimal_config import minimal_config
from support.toy_stages import Numbers

from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.runtime.planner import Planner


class Stumbling:
    """A cluster that fails while it is closed, as dask's does while it replaces a worker."""

    workers: ClassVar[dict[str, Any]] = {}

    def close(self, timeout: float) -> None:
        raise AssertionError("can only join a started process")


def test_a_worker_that_is_being_replaced_at_the_end_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    executor: Any = LocalExecutor(1, deadline_s=60)
    monkeypatch.setattr(executor, "_cluster", Stumbling())
    with caplog.at_level(logging.WARNING), executor:
        pass
    assert "can only join a started process" in caplog.text


@pytest.mark.slow
def test_a_worker_that_dask_gives_up_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask gives up a worker for good that dies before it is known, or is slow to start."""
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    (tmp_path / "run").mkdir()
    planner = Planner(minimal_config(tmp_path / "run"), [Numbers([1, 2], tmp_path)])
    first, second = planner.tasks("numbers")
    with LocalExecutor(1, deadline_s=60) as executor:
        assert [result.status for result in executor.run([first], "run")] == ["done"]
        cluster: Any = executor._cluster
        (nanny,) = cluster.workers.values()
        cluster.sync(nanny.close)
        assert nanny.status.name == "closed"
        assert [result.status for result in executor.run([second], "run")] == ["done"]
