"""Jobs: which fields enter the key of a task, and what reaches the worker."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from odc.geo.geobox import GeoBox
from pydantic import BaseModel

from oso_pipeline.core.commit import digest, publish_bytes
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.tasks.job import Input, Inputs, Job, decides, file_part, place, plain, reads
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.tasks.worker import do

OSO17 = load_nomenclature("oso17")
GRID = GeoBox.from_bbox((300_000, 4_800_000, 300_100, 4_800_200), "EPSG:32631", resolution=10)


class Settings(BaseModel, frozen=True):
    trees: int = 100
    depth: int | None = None


def trees_of(settings: Settings) -> int:
    return settings.trees


@dataclass(frozen=True)
class Region:
    """A file of the user, and how it is read."""

    layer: str
    content: str
    path: Path = Path("/regions.gpkg")

    @property
    def file(self) -> Input:
        return Input.file(self.path, self.content)

    def to_json(self) -> dict[str, str]:
        return {"layer": self.layer}


@dataclass(frozen=True, kw_only=True)
class ToyJob(Job):
    """A job with a field of every kind."""

    season: date = date(2018, 1, 1)
    classes: Nomenclature | None = None
    gap_days: int = decides("gap", default=10)
    area: str | None = decides(if_set=True, default=None)
    settings: Settings = decides(merged=True, default=Settings())
    forest: Settings | None = decides("forest trees", if_set=True, part=trees_of, default=None)
    region: Region | None = file_part("area of the map", if_set=True, default=None)
    inventory: Input = reads()
    polygons: Input | None = reads("reference/reference", default=None)
    models: Mapping[str, Input] = reads("model/{}", default=None)
    stages: Mapping[str, Inputs] = reads(default=None)
    memory_bytes: float = place(default=1e9)
    folder: Path = place(default=Path())


@dataclass(frozen=True, kw_only=True)
class LooseJob(Job):
    """A job that decides by whatever it is given."""

    content: Mapping[str, Any] = decides(merged=True)


def toy(**changes: Any) -> ToyJob:
    return ToyJob(**{"inventory": Input("made once", "inventory/31TCJ.parquet"), **changes})


def task_of(job: Job, **changes: Any) -> Task:
    function = f"{__name__}:note"
    return Task("toy", "31TCJ", function, Path("run"), ("note.txt",), job, **changes)


def key(**changes: Any) -> str:
    return task_of(toy(**changes)).key


def note(job: Job, task: Task) -> Summary:
    """Publish the job as the worker has it."""
    publish_bytes(task.output(), pickle.dumps(job))
    return {}


def test_the_recipe_names_what_decides_and_what_is_read() -> None:
    models = {"alps": Input("a", "models/alps"), "plain": Input("b", "models/plain")}
    recipe = task_of(toy(classes=OSO17, polygons=Input("c", "r.parquet"), models=models)).recipe
    assert recipe == {
        "stage": "toy",
        "name": "31TCJ",
        "version": 1,
        "params": {
            "season": "2018-01-01",
            "classes": OSO17.to_json(),
            "gap": 10,
            "trees": 100,
            "depth": None,
        },
        "inputs": {
            "inventory": "made once",
            "reference/reference": "c",
            "model/alps": "a",
            "model/plain": "b",
        },
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"season": date(2019, 1, 1)},
        {"classes": OSO17},
        {"gap_days": 5},
        {"area": "alps"},
        {"settings": Settings(trees=99)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_decides_changes_the_key(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_what_is_read_enters_by_its_digest_whatever_its_path() -> None:
    assert key(inventory=Input("made again", "inventory/31TCJ.parquet")) != key()
    assert key(inventory=Input("made once", "elsewhere/31TCJ.parquet")) == key()
    assert key(models={"alps": Input("a", "here")}) != key()
    assert key(models={"alps": Input("a", "here")}) == key(models={"alps": Input("a", "there")})


def test_places_and_limits_leave_the_key() -> None:
    assert key(memory_bytes=5e8, folder=Path("/scratch")) == key()


def test_a_setting_that_nobody_uses_is_not_in_the_recipe() -> None:
    assert "area" not in toy().params
    assert toy(area="alps").params["area"] == "alps"


def test_a_changed_item_of_merged_settings_is_named(tmp_path: Path) -> None:
    before = replace(task_of(toy()), run_dir=tmp_path)
    assert do(before).status == "done"
    after = replace(before, job=toy(settings=Settings(trees=99)))
    assert after.state().why == "parameter trees: 100 -> 99"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({"trees": 100}, {"trees": 99}, "trees: 100 -> 99"),
        (
            {"a": {"b": [{"c": 1}, {"c": 2}]}},
            {"a": {"b": [{"c": 1}, {"c": 3}]}},
            "a.b[1].c: 2 -> 3",
        ),
        (
            {"bands": ["B2", "B3"]},
            {"bands": ["B2", "B8", "B11"]},
            "bands: without B3, with B8, B11",
        ),
        ({"dates": [2, 1]}, {"dates": [1, 2]}, "dates: [2, 1] -> [1, 2]"),
        (
            {"classes": [{"code": 1}]},
            {"classes": [{"code": 1}, {"code": 2}]},
            "classes[1].code is new",
        ),
    ],
)
def test_the_value_that_changed_is_shown_old_and_new(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], why: str
) -> None:
    done = replace(task_of(LooseJob(content=before)), run_dir=tmp_path)
    assert do(done).status == "done"
    assert replace(done, job=LooseJob(content=after)).state().why == f"parameter {why}"


def test_only_the_part_of_a_value_that_decides_enters() -> None:
    before, after = Settings(trees=9), Settings(trees=9, depth=3)
    assert toy(forest=before).params["forest trees"] == 9
    assert key(forest=before) == key(forest=after)
    assert key(forest=before) != key(forest=Settings(trees=8)) != key()


def test_a_file_of_the_user_enters_by_how_it_is_read_and_what_is_in_it() -> None:
    region = Region("alps", "digest")
    job = toy(region=region)
    assert job.params["area of the map"] == {"layer": "alps"}
    assert job.inputs["area of the map"] == "digest"
    assert key(region=replace(region, path=Path("/elsewhere.gpkg"))) == key(region=region)
    others = [replace(region, layer="north"), replace(region, content="another"), None]
    assert len({key(region=one) for one in (region, *others)}) == 4
    assert "area of the map" not in {**toy().params, **toy().inputs}


def test_an_output_of_a_task_is_read_under_its_key() -> None:
    maker = Task("inventory", "31TCJ", "m:f", Path("run"), ("a.parquet", "b.parquet"))
    assert Input.of(maker) == Input(maker.key, "a.parquet")
    assert Input.of(maker, 1) == Input(maker.key, "b.parquet")
    assert Input.of_each([maker]) == {"inventory/31TCJ": Input.of(maker)}


def test_a_file_of_the_user_is_found_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read = Input.file(Path("points.gpkg"), "digest")
    assert task_of(toy()).path_of(read) == tmp_path / "points.gpkg"


def test_what_a_stage_made_is_one_input() -> None:
    makers = [Task("samples", name, "m:f", Path("run"), (f"{name}.parquet",)) for name in "ab"]
    made = Inputs.of(makers)
    assert made.paths == ("a.parquet", "b.parquet")
    assert toy(stages={"samples": made}).inputs["samples"] == made.key
    assert Inputs.of([makers[0], replace(makers[1], version=2)]).key != made.key
    assert Inputs.of(()) == Inputs(digest([]), ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2018, 6, 30), "2018-06-30"),
        ((1, (2.5, None)), [1, [2.5, None]]),
        ({211: date(2018, 1, 1)}, {"211": "2018-01-01"}),
        (Settings(depth=3), {"trees": 100, "depth": 3}),
        (OSO17, OSO17.to_json()),
    ],
    ids=["date", "tuples", "mapping", "model", "to_json"],
)
def test_values_as_json(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_a_grid_enters_as_shape_and_place() -> None:
    assert key(classes=GRID) == key(classes=GeoBox(GRID.shape, GRID.affine, GRID.crs))
    assert key(classes=GRID) != key(classes=GRID.pad(1))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", Path("run"), object()])
def test_a_value_without_a_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"holds a {type(value).__name__}, which has no form"):
        key(area=value)


def test_the_worker_gets_an_equal_job(tmp_path: Path) -> None:
    job = toy(classes=OSO17, models={"alps": Input("a", "models/alps")}, folder=tmp_path)
    task = replace(task_of(job), run_dir=tmp_path)
    sent = pickle.loads(pickle.dumps(task))
    assert (sent, sent.key) == (task, task.key)
    assert do(sent).status == "done"
    assert pickle.loads(task.output().read_bytes()) == job


def test_a_new_layout_makes_the_file_again_under_the_same_key(tmp_path: Path) -> None:
    task = replace(task_of(toy()), run_dir=tmp_path)
    assert do(task).status == "done"
    raised = replace(task, layout=2)
    assert raised.key == task.key
    assert raised.commit_record() is None
    assert (raised.state().status, raised.state().why) == (
        "outdated",
        "layout of the file 1 -> 2",
    )
    assert do(raised).status == "done"
    assert (raised.state().status, task.state().status) == ("done", "outdated")


def test_a_small_task_stays_small_between_processes() -> None:
    """A hundred thousand blocks go through one scheduler."""
    models = {name: Input("0" * 64, f"models/run0/{name}/model.json") for name in ("a", "b")}
    assert len(pickle.dumps(task_of(toy(models=models)))) < 1200


def test_a_job_of_another_version_is_refused_with_the_fields_that_differ() -> None:
    state = dict(vars(Job()))
    with pytest.raises(TypeError, match=r"a Job of another version.*differs in the fields colour"):
        Job().__setstate__({**state, "colour": "red"})


def test_a_folder_that_is_gone_is_made_again_though_its_list_is_there(tmp_path: Path) -> None:
    task = replace(task_of(toy()), run_dir=tmp_path, outputs=("store.zarr.sha256",))
    (tmp_path / "store.zarr").mkdir()
    assert do(task).status == "done"
    assert task.commit_record() is not None
    (tmp_path / "store.zarr").rmdir()
    assert task.commit_record() is None
    assert task.state().status == "new"
