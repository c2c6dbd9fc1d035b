"""Writes a whole simulated world: products of one year or two, polygons, databases, truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import rasterio

from oso_pipeline.simulation.world.land_covers import OSO17, OSO23
from oso_pipeline.simulation.world.past_world import PastWorld
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.reference_polygons import (
    parcels,
    regions,
    true_fields,
    write_vector,
)
from oso_pipeline.simulation.world.scene import Painter, Scene
from oso_pipeline.simulation.world.schedule import (
    METADATA_ONLY,
    main_orbit,
    orbit_number,
    overpasses,
    partial_passes,
)
from oso_pipeline.simulation.world.sky import Overpass
from oso_pipeline.simulation.world.spec import Variant, WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.databases import Databases, write_databases
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_product
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts

# Numbers of the overpasses of a tile's main orbit that are delivered in a special way.
_TWO_VERSIONS, _TWO_STRIPS = 2, 4
_FAULTY: dict[Variant, tuple[int, dict[str, object]]] = {
    "missing_fre": (1, {"without_fre": True}),
    "missing_band": (3, {"without": ("B8A",)}),
    "truncated_band": (5, {"truncated": ("B4",)}),
}


@dataclass(frozen=True)
class SimulatedWorld:
    """Where everything of a simulated world lies.

    Attributes
    ----------
    products
        Folder with the products, in one folder per tile.
    reference
        GeoPackage of parcels with the fields `parcel_id` and `code`, EPSG:2154.
    regions
        GeoPackage of two strata with the field `region`, EPSG:2154.
    databases
        The same land as RPG, BD TOPO and Corine Land Cover deliver it.
    truth
        True land cover per tile: uint8 GeoTIFF on the tile's 10 m grid, OSO 17 in the first band
        and OSO 23 in the second.
    fields
        GeoPackage of the same as polygons, away from the borders of the fields.
    product_ids
        Names of all products of the year of the map, in the order of writing.
    past
        The past year, where there is one.
    """

    products: Path
    reference: Path
    regions: Path
    databases: Databases
    truth: dict[str, Path]
    fields: Path
    product_ids: tuple[str, ...]
    past: ImagedYear | None = None


@dataclass(frozen=True)
class ImagedYear:
    """Images and truth of a year; attributes as those of :class:`SimulatedWorld`."""

    products: Path
    truth: dict[str, Path]
    product_ids: tuple[str, ...]


def simulate(folder: Path, spec: WorldSpec | None = None) -> SimulatedWorld:
    """Write a simulated world; the same `spec` always gives the same bytes.

    Parameters
    ----------
    folder
        Where to write; created if need be.
    spec
        World to simulate; the default has two tiles of 256 x 256 pixels and one year.

    Raises
    ------
    FileExistsError
        If the folder already holds a world.
    """
    world = World(spec or WorldSpec())
    past = PastWorld(world.spec) if world.spec.past else None
    images = _write_year(folder / "products", folder / "truth", world)
    past_images = None
    if past is not None:
        name = f"products_{past.spec.year}"
        past_images = _write_year(folder / name, folder / "truth" / past.year.name, past)
    fields = folder / "truth" / "fields.gpkg"
    write_vector(true_fields(world, past), fields, "fields")
    reference, strata = folder / "reference.gpkg", folder / "regions.gpkg"
    write_vector(parcels(world), reference, "parcels")
    write_vector(regions(world), strata, "regions")
    databases = write_databases(folder, world, past)
    return SimulatedWorld(
        images.products, reference, strata, databases, images.truth, fields, images.product_ids,
        past_images,
    )  # fmt: skip


def _write_year(products: Path, truth: Path, world: World) -> ImagedYear:
    """Write the products of a year, in one folder per tile, and the true land cover."""
    products.mkdir(parents=True)
    truth.mkdir()
    phenology = Phenology(world, world.year)
    written: list[str] = []
    rasters = {}
    for tile in world.spec.tiles:
        tile_folder = products / f"T{tile}"
        tile_folder.mkdir()
        delivery = _Delivery(tile_folder, world, tile, Painter(world, phenology, tile))
        written += delivery.deliver()
        rasters[tile] = truth / f"{tile}.tif"
        _write_truth(rasters[tile], world, tile)
    return ImagedYear(products, rasters, tuple(written))


@dataclass(frozen=True)
class _Delivery:
    """The products of one tile, in all the variants in which products are delivered."""

    folder: Path
    world: World
    tile: str
    painter: Painter

    def deliver(self) -> list[str]:
        """Write all products and return their names."""
        names = []
        for number, overpass in enumerate(
            overpasses(self.world, main_orbit(self.world, self.tile))
        ):
            names += self._special(number, overpass)
        for number, overpass in enumerate(partial_passes(self.world, self.tile)):
            names.append(
                self._write(overpass, usual_make(number + 1), self.painter.paint(overpass))
            )
        return names

    def _special(self, number: int, overpass: Overpass) -> list[str]:
        """Write what exists of an overpass: usually one product."""
        make = self._with_faults(number, usual_make(number))
        if number == METADATA_ONLY:
            return [self._write(overpass, Make("C", "2.2"), None)]
        scene = self.painter.paint(overpass)
        if number == _TWO_VERSIONS:
            newer = self.painter.paint(overpass, reprocessing=1)
            return [
                self._write(overpass, Make("D", "1.4"), scene),
                self._write(overpass, Make("C", "2.2", "tiled"), newer),
            ]
        if number == _TWO_STRIPS:
            # Two downlinks share the overpass; the second begins while the first still runs.
            size = self.world.spec.size_px // 2
            row = np.arange(size)[:, None] + np.zeros(size, dtype=int)
            later = replace(overpass, acquired=overpass.acquired + timedelta(seconds=14))
            return [
                self._write(overpass, make, scene.cut(row < size * 0.55)),
                self._write(later, make, scene.cut(row >= size * 0.45)),
            ]
        return [self._write(overpass, make, scene)]

    def _with_faults(self, number: int, make: Make) -> Make:
        """Put in the faults of the spec."""
        for variant in self.world.spec.variants:
            at, change = _FAULTY[variant]
            if number == at and self.tile == self.world.spec.tiles[0]:
                make = replace(make, zipped=False, with_sre=False, **change)  # type: ignore[arg-type]
        return make

    def _write(self, overpass: Overpass, make: Make, scene: Scene | None) -> str:
        facts = ProductFacts(
            product_id=product_id(overpass.platform, overpass.acquired, self.tile, make),
            tile=self.tile,
            acquired=overpass.acquired.replace(tzinfo=None),
            platform=overpass.platform,
            orbit_number=orbit_number(overpass),
            grid=self.world.grids[self.tile],
            sun=overpass.sun(),
            cloud_percent=round(100 * overpass.cloud_share)
            if scene is None
            else scene.cloud_percent,
            snow_percent=0 if scene is None else scene.snow_percent,
        )
        write_product(self.folder, facts, scene, make)
        return facts.product_id


def usual_make(number: int) -> Make:
    """Return how the product of an ordinary overpass is made; numbers cycle through variants."""
    profile, version = "C", "2.2" if number % 2 else "3.0"
    if number % 5 == 0:
        profile, version = "D", "1.4"
    elif number % 7 == 3:
        profile, version = "H", "1.8"
    return Make(
        profile=profile,  # type: ignore[arg-type]
        version=version,
        encoding="strips" if number % 3 == 0 else "repackaged" if number % 9 == 8 else "tiled",
        zipped=number % 6 == 1,
        with_sre=number % 4 == 2,
        with_optional=number % 8 != 5,
    )


def _write_truth(path: Path, world: World, tile: str) -> None:
    kinds = world.kinds[world.field_at(*world.map_coordinates(tile))]
    grid = world.grids[tile]
    profile = {"driver": "GTiff", "count": 2, "dtype": "uint8", "compress": "deflate"}
    with rasterio.open(
        path, "w", height=grid.shape[0], width=grid.shape[1], crs=grid.crs.to_wkt(),
        transform=grid.affine, **profile,
    ) as file:  # fmt: skip
        for band, (name, codes) in enumerate({"oso17": OSO17, "oso23": OSO23}.items(), start=1):
            file.write(codes[kinds].astype(np.uint8), band)
            file.set_band_description(band, name)
