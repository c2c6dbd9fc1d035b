"""What cases begin with: worlds as they were written, and a run on one that went well."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError

from fuzz import databases
from fuzz.command import oso
from fuzz.outcome import Ended
from fuzz.seasons import write_families
from fuzz.worlds import RICH, classes, write_world

Layers = dict[str, npt.NDArray[Any]]


class NoGround(AssertionError):
    """The run on the undamaged world is not what the world says."""


@dataclass(frozen=True)
class Ground:
    """What cases begin with; nothing here may be changed.

    Parameters
    ----------
    folder
        Holds all of it.
    layers
        The layers of the map of the plain world, by the name of their file.
    """

    folder: Path
    layers: Layers

    @property
    def world(self) -> Path:
        """The plain world, without a run."""
        return self.folder / "world"

    @property
    def families(self) -> Path:
        """Seasons of the families of Sentinel-2 beside MUSCATE, a folder each."""
        return self.folder / "families"

    @property
    def done(self) -> Path:
        """A folder whose ``oso.yaml`` names the plain world, with a complete run in ``run``."""
        return self.folder / "done"

    def copy(self, folder: Path) -> Path:
        """Copy the plain world into a case's folder; return its configuration."""
        shutil.copytree(self.world, folder / "world")
        return folder / "world" / "oso.yaml"

    def copy_done(self, folder: Path) -> Path:
        """Copy the complete run into a case's folder; return its configuration."""
        to = folder / "done"
        shutil.copytree(self.done, to, symlinks=True)
        config = to / "run" / "config.yaml"
        config.write_text(config.read_text().replace(str(self.done), str(to)))
        return to / "oso.yaml"


def prepare(folder: Path) -> Ground:
    """Write the worlds, make the run, and hold its map against the truth.

    Raises
    ------
    NoGround
        If a run on an undamaged world does not end well, or its map is not the truth.
    """
    _few_cells()
    ground = Ground(folder, {})
    config = write_world(ground.world)
    databases.write(folder / "databases")
    write_families(ground.families)
    ground.done.mkdir()
    text = config.read_text()
    for name in ("products", "labels.gpkg", "classes.csv"):
        text = text.replace(f"[{name}]", name).replace(name, str(ground.world / name))
    text = text.replace(
        f"paths: {ground.world / 'products'}", f"paths: [{ground.world / 'products'}]"
    )
    (ground.done / "oso.yaml").write_text(text)
    (ground.world / "rich.yaml").write_text(RICH)
    _well(oso("check", ground.world / "rich.yaml"))
    _well(oso("run", ground.done / "oso.yaml"))
    ground.layers.update(layers_of(ground.done / "run"))
    check_truth(ground)
    return ground


def _few_cells() -> None:
    """Cut the map into two large cells of polygons: of sixteen nearly all hold nothing."""
    from oso_pipeline.reference.polygons import stage
    from oso_pipeline.reference.polygons.cells import cells_of

    stage.cells_of = partial(cells_of, side_m=200_000.0)


def check_truth(ground: Ground) -> None:
    """Hold the map against the classes that were drawn, and count the polygons.

    The map has another grid than the tile, so its shares of the classes are compared, and how many
    polygons came through, by what another library reads.
    """
    import geopandas

    drawn = np.bincount(classes().ravel(), minlength=4)[1:]
    mapped = np.bincount(ground.layers["OCS_2018.tif"].ravel(), minlength=4)[1:4]
    if abs(mapped - drawn).max() > 0.02 * drawn.sum():
        raise NoGround(f"classes drawn {drawn}, mapped {mapped}")
    given = geopandas.read_file(ground.world / "labels.gpkg")
    kept = geopandas.read_parquet(ground.done / "run" / "reference.parquet")
    areas = given.geometry.area.groupby(given["code"]).sum()
    found = kept.geometry.area.groupby(kept["code"]).sum()
    if not np.allclose(areas.to_numpy(), found.reindex(areas.index, fill_value=0), rtol=1e-3):
        raise NoGround(f"area of the polygons by class: given {areas}, kept {found}")


def layers_of(run_dir: Path) -> Layers:
    """Return the pixels of the map and where they lie; nothing of a file that cannot be read."""
    found: Layers = {}
    for path in sorted((run_dir / "maps").glob("OCS_*.tif")):
        with suppress(RasterioError, OSError), rasterio.open(path) as source:
            epsg = (source.crs and source.crs.to_epsg()) or 0
            found[f"{path.name} grid"] = np.array([*source.transform, epsg])
            found[path.name] = source.read(1)
    return found


def differ(expected: Layers, found: Layers) -> str:
    """Return how two maps differ; empty where they do not."""
    if expected.keys() != found.keys():
        return f"layers {sorted(found)} instead of {sorted(expected)}"
    for name, pixels in expected.items():
        if pixels.shape != found[name].shape:
            return f"{name} has shape {found[name].shape} instead of {pixels.shape}"
        if (unlike := np.count_nonzero(pixels != found[name])) > 0:
            return f"{name}: {unlike} of {pixels.size} pixels differ"
    return ""


def _well(ended: Ended) -> None:
    if ended.code != 0:
        raise NoGround(f"the undamaged world does not run:\n{ended.said}")
