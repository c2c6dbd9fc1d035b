"""The end of a local cluster: what dask stumbles over there spoils no run."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import pytest

from oso_pipeline.runtime.executors import LocalExecutor


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
