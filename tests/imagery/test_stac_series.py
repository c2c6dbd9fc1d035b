"""Images of STAC items give the series of MUSCATE products with the same pixels and masks."""

from __future__ import annotations

from pathlib import Path

from rio_cogeo import cog_validate
from support.safe_factory import FACTS, scene
from support.same_season import check_same, write_season

from oso_pipeline.simulation.world.scene import Scene
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts
from oso_pipeline.simulation.writers.stac import CATALOGUES, write_item


def test_a_season_of_all_catalogues_gives_the_series_of_muscate(tmp_path: Path) -> None:
    """Baselines are mixed too; one archive applied the offset to the numbers of a date."""

    def write(folder: Path, made: SafeFacts, painted: Scene, number: int) -> Path:
        catalogue = ("earth-search", *CATALOGUES)[number]
        return write_item(folder, made, painted, catalogue, applied=number == 2)

    write_season(tmp_path, write)
    check_same(tmp_path)


def test_images_are_cloud_optimised(tmp_path: Path) -> None:
    item = write_item(tmp_path, FACTS, scene())
    for path in item.parent.glob("*.tif"):
        assert cog_validate(path, strict=True) == (True, [], [])
