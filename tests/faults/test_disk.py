"""Disks that are full, read-only or gone: said clearly, nothing broken left, resumed later."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from support.machine_tools import files_of_at_most
from support.toy_world import World
from support.toys import Toy

from oso_pipeline.core.commit import publish_bytes, sidecar_of, staged, withdraw_unless
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode
from oso_pipeline.prediction.block_file import BANDS, write_block
from oso_pipeline.runtime.events import Event, TaskEnded
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.verification import verify_run
from oso_pipeline.runtime.runner import Selection, run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with room for 2 MB: a file system of its own, else a limit on files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    with files_of_at_most(2_000_000):
        yield folder


def noise(side: int) -> tuple[dict[str, np.ndarray], GeoBox]:
    """Return a block that does not compress, and its grid."""
    box = (600_000, 4_800_000, 600_000 + side * 10, 4_800_000 + side * 10)
    layers = np.random.default_rng(0).integers(0, 65_535, (3, side, side)).astype(np.uint16)
    return dict(zip(BANDS, layers, strict=True)), GeoBox.from_bbox(box, "EPSG:32631", resolution=10)


@pytest.mark.parametrize("threads", [None, "2"])
@pytest.mark.fault(
    row=14,
    injected="a raster of 4 MB on a disk of 2 MB, also with GDAL_NUM_THREADS=2",
    outcome="E-DISK names the file and the free space; no file, no temporary file",
)
def test_a_full_disk_under_gdal(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, threads: str | None
) -> None:
    if threads:
        monkeypatch.setenv("GDAL_NUM_THREADS", threads)
    bands, grid = noise(820)
    final = small_disk / "block.tif"
    with pytest.raises(EnvironmentFailure, match="E-DISK") as caught:
        write_block(final, bands, grid)
    assert str(final) in str(caught.value)
    assert list(small_disk.iterdir()) == []
    write_block(final, *noise(200))


@pytest.mark.fault(
    row=13,
    injected="an output of 3 MB on a disk of 2 MB",
    outcome="E-DISK names bytes written and free space; no final file; done after space is freed",
)
def test_a_full_disk_is_named_with_the_space_that_is_left(small_disk: Path) -> None:
    final = small_disk / "big.bin"
    with pytest.raises(EnvironmentFailure, match=r"full.* MB .*written, .* MB are free") as caught:
        publish_bytes(final, bytes(3_000_000))
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert str(final) in str(caught.value)
    assert list(small_disk.iterdir()) == []
    publish_bytes(final, bytes(1_000_000))


@pytest.mark.slow
@pytest.mark.fault(
    row=13,
    injected="the disk of the run folder full, by a limit on files",
    outcome="exit 6, no traceback; the same command continues after space is freed",
)
def test_a_run_on_a_full_disk_goes_on_when_there_is_space(toy: Toy) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    ended = toy.run(prepare=limit)
    assert ended.code == ExitCode.ENVIRONMENT
    assert "E-DISK" in ended.errors + ended.output
    assert "Traceback" not in ended.errors
    assert not verify_run(toy.run_dir).problems.errors
    assert toy.run().code == 0
    assert toy.total() == toy.expected_total


@pytest.mark.fault(
    row=13,
    injected="no space for the third of six outputs (ENOSPC)",
    outcome="that task fails with exit 6, the others are done; the next run does it",
)
def test_one_unit_without_space(toy: Toy) -> None:
    ended = toy.run(fault="after_write@3.txt:disk_full")
    assert ended.code == ExitCode.ENVIRONMENT
    ((name, error, code),) = ended.summary["failures"]
    assert (name, code) == ("n3", ExitCode.ENVIRONMENT)
    assert "the disk is full" in error
    assert "3.txt" in error
    assert not list(toy.run_dir.rglob(".*.tmp"))
    ended = toy.run()
    assert (ended.code, ended.summary["done"]) == (0, 2)


@pytest.mark.slow
@pytest.mark.fault(
    row=15,
    injected="TMPDIR on a full disk",
    outcome="workers need no temporary files, or the folder is named; no traceback",
)
def test_a_full_folder_for_temporary_files(toy: Toy, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1_990_000))
    toy.environment["TMPDIR"] = str(small_disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(small_disk))
        ended = toy.run("local")
    if ended.code == 0:
        assert toy.total() == toy.expected_total
    else:
        assert ended.code == ExitCode.ENVIRONMENT, ended.errors
        assert str(small_disk) in ended.errors


@pytest.mark.fault(
    row=17, injected="run folder on a read-only file system", outcome="E-RUN-FOLDER before any task"
)
def test_a_read_only_folder(world: World, tmp_path: Path) -> None:
    world.run_dir.mkdir()
    read_only(world.run_dir)
    try:
        with pytest.raises(EnvironmentFailure, match="E-RUN-FOLDER"):
            world.run()
    finally:
        writable(world.run_dir)
    assert world.run().done == 5


def read_only(folder: Path) -> None:
    """Take away the right to write: by the file system, as no mode stops root."""
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        folder.chmod(0o555)
        assert not os.access(folder, os.W_OK), "root without mount: this test needs one of them"


def writable(folder: Path) -> None:
    if subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False).returncode:
        folder.chmod(0o755)


def remove(folder: Path) -> None:
    # At once, since what is written meanwhile would keep the folder alive.
    shutil.rmtree(folder.rename(folder.with_name("gone")), ignore_errors=True)


@pytest.mark.parametrize("replaced", [False, True], ids=["gone", "replaced"])
@pytest.mark.fault(
    row=18,
    injected="run folder removed or replaced by another while a task runs",
    outcome="E-RUN-FOLDER, exit 6; no commit in the replacement folder",
)
def test_the_run_folder_vanishes(
    world: World, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    def publish(final: Path, content: bytes) -> None:
        remove(world.run_dir)
        if replaced:
            world.run_dir.mkdir()  # often under the same number
        publish_bytes(final, content)

    monkeypatch.setattr("support.toy_stages.publish_bytes", publish)
    text = ""
    try:
        outcome = run(world.planner(), SerialExecutor(), [LogFile(world.run_dir)], Selection())
    except EnvironmentFailure as error:  # the driver has noticed it first
        text = str(error)
    else:
        text = str(outcome.failures[0].error)
        assert outcome.exit_code == ExitCode.ENVIRONMENT
    assert "E-RUN-FOLDER" in text
    assert "vanished" in text
    assert not list(world.run_dir.rglob("1.txt.json"))


class Vandal:
    """Removes the run folder when a task has ended and the next has not begun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def notice(self, event: Event) -> None:
        if isinstance(event, TaskEnded):
            remove(self.folder)


@pytest.mark.fault(
    row=18,
    injected="run folder removed between two tasks",
    outcome="E-RUN-FOLDER, exit 6; it is not created again",
)
def test_the_run_folder_vanishes_between_two_tasks(world: World) -> None:
    with pytest.raises(EnvironmentFailure, match=r"E-RUN-FOLDER.*vanished"):
        run(world.planner(), SerialExecutor(), [Vandal(world.run_dir)], Selection())
    assert not world.run_dir.exists()


@pytest.mark.fault(
    row=51, injected="ESTALE from flush and rename, once each", outcome="tried again; all done"
)
def test_a_stale_handle_is_tried_again(toy: Toy) -> None:
    ended = toy.run(fault="after_write@2.txt:stale;before_rename@4.txt:stale")
    assert ended.code == 0, ended.errors
    assert len(toy.struck()) == 2
    assert toy.total() == toy.expected_total


@pytest.mark.fault(
    row=51, injected="ESTALE on rename, once, by the system call", outcome="tried again; renamed"
)
def test_a_stale_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, calls = Path.replace, []

    def stale_once(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 1:
            raise OSError(116, "Stale file handle")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", stale_once)
    with staged(tmp_path / "file.bin") as temporary:
        temporary.write_bytes(b"content")
    assert (tmp_path / "file.bin").read_bytes() == b"content"
    assert len(calls) == 2


def test_a_folder_in_place_of_a_commit_record_is_named(tmp_path: Path) -> None:
    record = sidecar_of(tmp_path / "classes.csv")
    record.mkdir()
    with pytest.raises(EnvironmentFailure, match="E-DISK") as refused:
        withdraw_unless(tmp_path / "classes.csv", "a key")
    assert str(record) in str(refused.value)
