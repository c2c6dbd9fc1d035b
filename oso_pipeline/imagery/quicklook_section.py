"""The section of the report with the clearest date of each month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Gallery, Picture, Section

MOST_TILES = 6
"""Tiles whose pictures the page contains, about 0.5 MB each of a year."""

_HEADING = "Clearest date of each month"
_TEXT = (
    "The natural colours (red, green, blue) and below them the false colours (near infrared, red, "
    "green; vegetation is red) of the date of each month on which most of the tile is clear. All "
    "dates have the same stretch; grey has no data. The folder quicklooks/ of the run contains "
    "the pictures of all images."
)


def quicklooks_section(files: RunFiles) -> Section | None:
    """Return the pictures of the clearest date of each month; None where no tile has any."""
    if failure := files.failure("quicklooks"):
        return Section(_HEADING, (f"The pictures could not be made: {failure}",))
    images = sorted(files.summaries("quicklooks"), key=lambda one: (one["tile"], one["acquired"]))
    by_tile = {tile: list(some) for tile, some in groupby(images, key=lambda one: one["tile"])}
    if not by_tile:
        return None
    shown = list(by_tile)[:MOST_TILES]
    texts = [_TEXT]
    if len(by_tile) > len(shown):
        texts.append(f"To keep the page small, {len(shown)} of {len(by_tile)} tiles are shown.")
    galleries = (_gallery(files, tile, by_tile[tile]) for tile in shown)
    return Section(_HEADING, tuple(texts), galleries=tuple(galleries))


def clearest(images: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the clearest image of each month; of several as clear the first.

    Parameters
    ----------
    images
        Summaries of pictures of one tile, in order of time.
    """
    for _, some in groupby(images, key=lambda one: one["acquired"][:7]):
        yield max(some, key=lambda one: one["clear_percent"])


def _gallery(files: RunFiles, tile: str, images: Sequence[Mapping[str, Any]]) -> Gallery:
    figures = []
    for one in clearest(images):
        day = one["acquired"][:10]
        pictures = tuple(
            Picture(read_regular(files.folder / one[kind]), f"Tile {tile} on {day} in {colours}")
            for kind, colours in (("natural", "natural colours"), ("false_colour", "false colours"))
        )
        figures.append((f"{day}, {one['clear_percent']:.0f} % clear", pictures))
    return Gallery(f"Tile {tile}, {len(images)} images", tuple(figures))
