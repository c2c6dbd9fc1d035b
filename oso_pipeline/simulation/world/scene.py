"""A tile of the world as one overpass sees it: bands and masks, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.sky import Bools, Bytes, Overpass, Sky, look_up
from oso_pipeline.simulation.world.world import World, smooth_noise

R1_BANDS, R2_BANDS = SENTINEL2.at(10), SENTINEL2.at(20)
"""Bands at 10 m and at 20 m, each in the order of the bits of its mask of saturation."""
NODATA = -10000
"""Value of a pixel without reflectance."""
QUANTIFICATION = 10_000
"""Stored value of reflectance 1."""

_SATURATED = 12_500  # stored value from which the simulated detectors saturate
_CLOUD = np.array([780, 790, 800, 800, 810, 815, 820, 820, 620, 480], dtype=np.float32) / 1000
_CIRRUS = np.array([10, 9, 9, 8, 8, 8, 8, 8, 3, 2], dtype=np.float32) / 10

Floats32 = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Scene:
    """Content of a product.

    Attributes
    ----------
    bands
        int16 per band, 10 m or 20 m.
    masks
        uint8 per mask and group: ``cloud_R1`` at 10 m, ``cloud_R2`` at 20 m, and so ``edge``,
        ``saturation``, ``geophysics``, ``vapour`` and ``defect``.
    atmosphere
        uint8 of shape ``(2, rows, columns)`` per group: water vapour, optical thickness.
    cloud_percent, snow_percent
        As in the metadata.
    """

    bands: dict[str, npt.NDArray[np.int16]]
    masks: dict[str, Bytes]
    atmosphere: dict[str, Bytes]
    cloud_percent: int
    snow_percent: int

    def cut(self, keep: Bools) -> Scene:
        """Return the scene without what `keep` (20 m) leaves out, as at a swath's edge."""
        keeps = {"R1": _doubled(keep), "R2": keep}
        masks = {
            name: np.where(keeps[name[-2:]], mask, name.startswith("edge")).astype(np.uint8)
            for name, mask in self.masks.items()
        }
        bands = {
            name: np.where(keeps["R2" if name in R2_BANDS else "R1"], image, np.int16(NODATA))
            for name, image in self.bands.items()
        }
        air = {name: image * keeps[name] for name, image in self.atmosphere.items()}
        return replace(self, bands=bands, masks=masks, atmosphere=air)


class Painter:
    """Paints the scenes of one tile.

    Parameters
    ----------
    world, phenology
        The land and how it changes.
    tile
        Name of a tile of the world.
    """

    def __init__(self, world: World, phenology: Phenology, tile: str) -> None:
        self._world = world
        self._phenology = phenology
        self._tile = tile
        # One pixel more on each side, so that a shifted image has no empty border.
        self._fields = world.field_at(*world.map_coordinates(tile, pad=1))
        x, y = world.map_coordinates(tile)
        seed = derived_seed(world.spec.seed, "texture")
        texture = np.exp(0.22 * (smooth_noise(x, y, 45.0, seed) - 0.5))
        self._texture = texture.astype(np.float32)[..., None]
        self._slope = smooth_noise(x[::2, ::2], y[::2, ::2], 400.0, seed + 1)

    def paint(self, overpass: Overpass, reprocessing: int = 0) -> Scene:
        """Return the scene of an overpass.

        Parameters
        ----------
        overpass
            Who looks, and when.
        reprocessing
            Another number gives another realisation of the correction's errors, as a newer
            version of the processor would.
        """
        sky = look_up(self._world, self._tile, overpass)
        seed = derived_seed(self._world.spec.seed, "scene", self._tile, overpass.name, reprocessing)
        rng = np.random.default_rng(seed)
        land = self._land(overpass, rng)
        seen = _through(sky, land, rng)
        stored = np.clip(np.rint(seen * QUANTIFICATION), -500, 20_000).astype(np.int16)
        glint = self._glints(rng)
        stored[glint] = rng.integers(11_500, 19_500, (int(glint.sum()), 10), dtype=np.int16)
        bands = _at_their_resolution(stored)
        masks = {"cloud": sky.cloud_bits, "edge": sky.edge.astype(np.uint8)}
        masks["geophysics"] = self._geophysical(sky, overpass)
        by_group = {f"{name}_R1": _doubled(mask) for name, mask in masks.items()}
        by_group |= {f"{name}_R2": mask for name, mask in masks.items()}
        for group, names in (("R1", R1_BANDS), ("R2", R2_BANDS)):
            edge = by_group[f"edge_{group}"] > 0
            by_group[f"saturation_{group}"] = _saturation(bands, names, edge)
            by_group[f"vapour_{group}"] = ((by_group[f"cloud_{group}"] & 2) > 0) * np.uint8(3)
            by_group[f"defect_{group}"] = np.zeros(edge.shape, dtype=np.uint8)
            for name in names:
                bands[name][edge] = NODATA
        inside = np.maximum((~sky.edge).sum(), 1)
        return Scene(
            bands=bands,
            masks=by_group,
            atmosphere={"R1": _doubled(_air(sky, rng)), "R2": _air(sky, rng)},
            cloud_percent=int(100 * ((sky.cloud_bits & 2) > 0).sum() / inside),
            snow_percent=int(100 * ((masks["geophysics"] & 4) > 0).sum() / inside),
        )

    def _land(self, overpass: Overpass, rng: np.random.Generator) -> Floats32:
        """Return reflectance of the ground, shape ``(rows, columns, band)`` at 10 m.

        Includes the misregistration of up to one pixel, the texture of the fields, and the
        errors of atmospheric correction, per date and band.
        """
        fields = self._phenology.reflectance(overpass.day_of_year)
        table = fields * rng.normal(1, 0.03, 10) + rng.normal(0, 0.004, 10)
        image = table.astype(np.float32)[self._fields]
        down, right = np.clip(rng.normal(0, 0.3, 2), -1, 1).astype(np.float32)
        image = _shifted(_shifted(image, float(down)).swapaxes(0, 1), float(right)).swapaxes(0, 1)
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return image * self._texture * (1 + 0.025 * noise) + 0.003 * noise

    def _glints(self, rng: np.random.Generator) -> Bools:
        """Return the few places of industrial roofs that mirror the sun, at 10 m."""
        roofs = self._world.codes[self._fields[1:-1:2, 1:-1:2]] == 43
        return _doubled(roofs & (rng.uniform(size=roofs.shape) < 0.005))

    def _geophysical(self, sky: Sky, overpass: Overpass) -> Bytes:
        """Return water, cloud, snow, shadow and relief as bits 0 to 7, at 20 m."""
        fields = self._fields[1:-1:2, 1:-1:2]
        codes = self._world.codes[fields]
        zenith, _ = overpass.sun()
        clear = (sky.cloud_bits & 3) == 0
        bits = np.zeros(codes.shape, dtype=np.uint8)
        bits[(codes == 51) & clear] |= 1
        bits[(sky.cloud_bits & 2) > 0] |= 2
        bits[self._phenology.snow(overpass.day_of_year)[fields] & clear] |= 4
        bits[(sky.cloud_bits & (32 | 64)) > 0] |= 8
        # Steep ground of the mountains: its shadows grow as the sun sinks.
        steep = np.isin(codes, (34, 36, 45, 53)) & (self._slope > 0.55)
        bits[steep & (self._slope > 1.35 - zenith / 100)] |= 16
        bits[steep & (self._slope > 0.78)] |= 32
        bits[steep & (self._slope > 0.70) & (zenith > 68)] |= 64
        bits[steep & (self._slope > 0.66) & (zenith > 62)] |= 128
        bits[sky.edge] = 0
        return bits


def _through(sky: Sky, land: Floats32, rng: np.random.Generator) -> Floats32:
    """Return what the satellite sees of the land, same shape as `land`."""
    thick = _doubled(sky.thickness.astype(np.float32))[..., None]
    # Haze just around clouds, where the mask's dilation hides it.
    haze = _doubled(((sky.cloud_bits & 16) > 0).astype(np.float32))[..., None] * 0.08
    opaque = np.maximum(thick, haze)
    shadow = _doubled(sky.shadow.astype(np.float32))[..., None]
    cirrus = _doubled(sky.cirrus.astype(np.float32))[..., None]
    bright = _CLOUD * np.float32(rng.uniform(0.85, 1.15)) * (0.7 + 0.95 * thick**3)
    return land * (1 - shadow) * (1 - opaque) + bright * opaque + cirrus * _CIRRUS


def _at_their_resolution(stored: npt.NDArray[np.int16]) -> dict[str, npt.NDArray[np.int16]]:
    """Split ``(rows, columns, band)`` at 10 m into bands; those of R2 are means of 2 x 2."""
    bands = {}
    for i, name in enumerate(SENTINEL2.names):
        image = stored[..., i]
        if name in R2_BANDS:
            rows, columns = image.shape
            image = image.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
        bands[str(name)] = np.rint(image).astype(np.int16)
    return bands


def _saturation(
    bands: dict[str, npt.NDArray[np.int16]], names: tuple[str, ...], edge: Bools
) -> Bytes:
    mask = np.zeros(edge.shape, dtype=np.uint8)
    for bit, name in enumerate(names):
        mask[(bands[name] >= _SATURATED) & ~edge] |= 1 << bit
    return mask


def _air(sky: Sky, rng: np.random.Generator) -> Bytes:
    """Return water vapour and optical thickness at 20 m; thick under clouds up to the limit."""
    water = rng.uniform(18, 60) + 8 * sky.thickness
    aerosol = rng.uniform(15, 60) + 260 * sky.thickness
    air = np.clip(np.stack([water, aerosol]), 1, 255).astype(np.uint8)
    air[:, sky.edge] = 0
    return air


def _shifted(image: Floats32, pixels: float) -> Floats32:
    """Shift along the first axis by up to one pixel (linear) and cut the border of one pixel."""
    other = image[2:] if pixels > 0 else image[:-2]
    weight = np.float32(abs(pixels))
    return image[1:-1] * (1 - weight) + other * weight


def _doubled(mask: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Repeat each 20 m pixel as 2 x 2 pixels of 10 m, in the last two axes."""
    return mask.repeat(2, axis=-2).repeat(2, axis=-1)
