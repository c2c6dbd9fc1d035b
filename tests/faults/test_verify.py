"""``oso verify`` finds what was done to a run folder, and the next run fixes it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from soak.damage import DAMAGES
from support.toy_world import World
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.folder.verification import repair, verify_run


def verify(folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", str(folder), *options])
    return result.exit_code, result.output


def test_a_sound_run_folder(world: World) -> None:
    world.run()
    assert verify(world.run_dir) == (0, "5 committed files are sound (0.0 MB), 0 are not\n")


@pytest.mark.fault(
    row=24, injected="one bit of a committed file flipped", outcome="named, exit 4; made again"
)
def test_a_flipped_bit_is_found_and_fixed(world: World) -> None:
    world.run()
    file = world.run_dir / "numbers" / "2.txt"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]))
    assert world.run().done == 0, "nothing shows that the file has changed"
    code, text = verify(world.run_dir)
    assert code == 4
    assert "E-VERIFY-CONTENT" in text
    assert str(file) in text
    assert verify(world.run_dir, "--repair")[0] == 0
    assert world.run().done == 1
    assert file.read_text() == "4"
    assert verify(world.run_dir)[0] == 0


def test_everything_is_named_at_once(world: World) -> None:
    world.run()
    one, two, three, four = (world.run_dir / "numbers" / f"{n}.txt" for n in (1, 2, 3, 4))
    one.write_text("22")
    two.unlink()
    sidecar_of(three).write_text('{"a":')
    sidecar_of(four).unlink()
    stray = world.run_dir / ".total.txt.host.1.abcdef01.tmp"
    stray.touch()
    found = verify_run(world.run_dir)
    assert {(p.code, p.where) for p in found.problems} == {
        ("E-VERIFY-SIZE", str(one)),
        ("E-VERIFY-GONE", str(two)),
        ("E-VERIFY-RECORD", str(three)),
        ("W-VERIFY-ORPHAN", str(four)),
        ("W-VERIFY-TEMPORARY", str(stray)),
    }
    assert found.sound == 1
    repair(found)
    left = verify_run(world.run_dir)
    assert [p.code for p in left.problems] == ["W-VERIFY-ORPHAN"] * 3
    assert world.run().done == 4
    assert not len(verify_run(world.run_dir).problems)


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=4), st.integers(0, 2**32))
def test_any_damage_is_fixed_by_verify_and_run(world: World, names: list[str], seed: int) -> None:
    world.run()
    draw = random.Random(seed)
    for name in names:
        DAMAGES[name](world.run_dir, draw)
    assert verify(world.run_dir, "--repair")[0] == 0
    world.run()
    assert world.total() == 20
    assert [int(f.read_text()) for f in sorted(world.run_dir.glob("numbers/*.txt"))] == [2, 4, 6, 8]
    assert not len(verify_run(world.run_dir).problems)


def test_json_results_are_no_commit_records(world: World) -> None:
    world.run()
    result = world.run_dir / "accuracy.json"
    result.write_text('{"kappa": 1}')
    assert [p.where for p in verify_run(world.run_dir).problems] == [str(result)]
    os.truncate(result, 5)
    assert [p.where for p in verify_run(world.run_dir).problems] == [str(result)]


def test_commits_are_not_withdrawn_under_a_run_at_work(world: World) -> None:
    world.run()
    with RunLock(world.run_dir):
        assert session.verify(world.run_dir, repair=False).sound == 5
        with pytest.raises(EnvironmentFailure, match="E-RUN-LOCK"):
            session.verify(world.run_dir, repair=True)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert "no run" in str(result.exception)
