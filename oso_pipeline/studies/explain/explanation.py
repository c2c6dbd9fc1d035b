"""What is known of one pixel of a map, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from typing import Any

from oso_pipeline.studies.explain.parts import (
    Answer,
    ClassVotes,
    Flag,
    ImageUse,
    Label,
    ModelUsed,
    NearPolygon,
    PixelSeries,
    Place,
)

FORMAT = 1
"""Format of the JSON."""


@dataclass(frozen=True)
class PixelExplanation:
    """Why a pixel got its class.

    Parameters
    ----------
    run
        Name of the run.
    year
        Year of the map.
    place
        Where the pixel lies.
    answer
        What the map says.
    votes
        Classes with a vote, the best first; empty where they cannot be computed.
    model
        The model; None outside all strata, or where it is not there.
    images
        Images of the tile by day, used and hidden.
    series
        The series; None where the images cannot be read.
    polygons
        Reference polygons near by, the nearest first.
    flags
        What to know before the class is trusted.
    missing
        What cannot be said, and why.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> found = oso.explain_pixel("demo/run_one_year", 499205, 7350605)
    >>> isinstance(found, oso.PixelExplanation), found.to_json()["place"]["tile"]
    (True, '31UCU')
    """

    run: str
    year: int
    place: Place
    answer: Answer
    votes: tuple[ClassVotes, ...]
    model: ModelUsed | None
    images: tuple[ImageUse, ...]
    series: PixelSeries | None
    polygons: tuple[NearPolygon, ...]
    flags: tuple[Flag, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def runner_up(self) -> Label | None:
        """The best class besides that of the pixel; None where all votes are for one class."""
        others = [one.label for one in self.votes if one.label != self.answer.label]
        return others[0] if others else None

    @property
    def used(self) -> tuple[ImageUse, ...]:
        """The images that count."""
        return tuple(one for one in self.images if one.used)

    @property
    def hidden(self) -> tuple[ImageUse, ...]:
        """The images that do not count."""
        return tuple(one for one in self.images if not one.used)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values; days as ``2018-06-30``."""
        return {"format": FORMAT, **_plain(asdict(self))}

    def to_text(self) -> str:
        """Return it as lines for a terminal."""
        from oso_pipeline.studies.explain.text import lines

        return "\n".join(lines(self))

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from oso_pipeline.studies.explain.picture import svg_of

        return f"{svg_of(self)}<pre>{escape(self.to_text())}</pre>"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value
