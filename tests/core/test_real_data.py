"""Tests without their sample data are skipped, but fail where the data is required."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ROOT
from support.real_data import real_data


@pytest.mark.parametrize("ci", ["true", ""])
def test_missing_data_skips_a_test_unless_it_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("OSO_REQUIRE_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"sample data is not here: .*nowhere"):
        real_data(tmp_path / "nowhere")
    monkeypatch.setenv("OSO_REQUIRE_DATA", "1")
    with pytest.raises(pytest.fail.Exception, match=r"sample data is missing: .*nowhere"):
        real_data(tmp_path / "nowhere")
    assert real_data(tmp_path) == tmp_path


def test_the_whole_check_of_a_change_requires_the_data() -> None:
    assert "export CI=true OSO_REQUIRE_DATA=1\n" in (ROOT / ".ci/run").read_text()
