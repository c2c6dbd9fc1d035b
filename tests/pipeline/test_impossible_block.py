"""A block that no worker can hold is refused before anything is computed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.pipeline_tools import write_config

from oso_pipeline import cli


@pytest.mark.parametrize("command", ["plan", "run"])
def test_row_62_nothing_is_computed(
    small_world: Path,
    tmp_path: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write_config(tmp_path, small_world)
    settings = ("runtime.block_pixels=1000000000", "runtime.memory_per_worker_gb=1")
    overrides = [word for setting in settings for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["oso", command, str(config), *overrides])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 3, said
    assert "E-BLOCK-MEMORY" in said
    assert "set runtime.block_pixels to " in said
    assert not list((tmp_path / "run").rglob("*.parquet"))
