"""A small picture of an explanation: series of the pixel beside those of classes, and votes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from oso_pipeline.core.commit import staged
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.studies.explain.explanation import PixelExplanation
from oso_pipeline.studies.explain.parts import PixelSeries

FORMATS = (".png", ".svg")
_PIXEL, _OF_CLASSES = "black", ("tab:green", "tab:orange")
_INCHES, _DPI, _MOST_BARS = (8.0, 3.2), 110, 6
_STYLE: Any = {"font.size": 8, "svg.hashsalt": "oso_pipeline", "svg.fonttype": "none"}


def save_picture(found: PixelExplanation, path: Path) -> None:
    """Write the picture of an explanation, as PNG or SVG by the end of the name.

    Raises
    ------
    InputDataError
        If the name ends otherwise (``E-EXPLAIN-PICTURE``).
    EnvironmentFailure
        If it cannot be written.
    """
    refuse_other_formats(path)
    with staged(path) as temporary:
        temporary.write_bytes(_drawn(found, path.suffix.lower()[1:]))


def refuse_other_formats(path: Path) -> None:
    """Raise InputDataError unless a picture can be written under this name."""
    if path.suffix.lower() not in FORMATS:
        message = f"found a picture {path.name!r}, expected a name that ends in .png or .svg"
        raise InputDataError(Problem("E-EXPLAIN-PICTURE", message, str(path)))


def svg_of(found: PixelExplanation) -> str:
    """Return the picture as an SVG element, for a page of HTML."""
    text = _drawn(found, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def _drawn(found: PixelExplanation, kind: str) -> bytes:
    stream = io.BytesIO()
    # No date in the file: the same explanation makes the same bytes.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context(_STYLE):
        figure = Figure(_INCHES, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2, 1])
        if found.series is None:
            left.text(0.5, 0.5, "images cannot be read", ha="center", transform=left.transAxes)
        else:
            _draw_series(left, found.series, found)
        _draw_votes(right, found)
        figure.savefig(stream, format=kind, dpi=_DPI, metadata=metadata)
    return stream.getvalue()


def _draw_series(axes: Any, series: PixelSeries, found: PixelExplanation) -> None:
    main, days = series.main, np.array(series.days, "datetime64[D]")
    for one, colour in zip(main.classes, _OF_CLASSES, strict=False):
        mean, spread = np.array(one.mean), np.array(one.deviation)
        low, high = (mean - spread) * main.scale, (mean + spread) * main.scale
        axes.fill_between(days, low, high, color=colour, alpha=0.15, linewidth=0)
        name = f"mean of {one.label} ({one.samples} samples)"
        axes.plot(days, mean * main.scale, color=colour, label=name)
    filled = np.array(main.filled) * main.scale
    axes.plot(days, filled, color=_PIXEL, linewidth=1, label="pixel, gaps filled")
    seen = np.array(series.observed_days, "datetime64[D]")
    axes.plot(seen, np.array(main.observed) * main.scale, "o", color=_PIXEL, markersize=4)
    hidden = [one.day for one in found.hidden if one.day and days[0] <= np.datetime64(one.day)]
    if hidden:
        foot = np.zeros(len(hidden))
        axes.plot(
            np.array(hidden, "datetime64[D]"), foot, "x", color="grey", markersize=4,
            transform=axes.get_xaxis_transform(), clip_on=False, label="hidden dates",
        )  # fmt: skip
    axes.set_title(f"{main.name}, x {found.place.x:.0f}, y {found.place.y:.0f}")
    axes.legend(fontsize=6, frameon=False)
    axes.tick_params("x", rotation=30)


def _draw_votes(axes: Any, found: PixelExplanation) -> None:
    votes = found.votes[:_MOST_BARS][::-1]
    names = [str(one.label) for one in votes]
    axes.barh(names, [100 * one.share for one in votes], height=0.7, color="tab:green")
    axes.set_ylim(len(votes) - max(4, len(votes)) - 0.5, len(votes) - 0.5)
    axes.set_xlim(0, 100)
    axes.set_title(f"votes, percent: {found.answer.label}")
