"""A short campaign of the bench: `oso fetch`, killed and started again, against all faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.retrieval_campaign import Scale, measure


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_short_campaign_with_kills_loses_nothing(tmp_path: Path, seed: int) -> None:
    scale = Scale(products=300, seconds=40, kills=6, share=0.01, seed=seed, most_bytes=1_000_000)
    found = measure(tmp_path / "campaign", scale, print)
    assert (found["wrong"], found["missing"]) == (0, 0)
    assert found["right"] == 300
    assert found["kills"] >= 5
    assert max(found["at_once"].values()) <= 3
    assert sum(found["faults"].values()) > 10
