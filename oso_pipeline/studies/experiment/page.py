"""The page of an experiment: its table, with the intervals drawn on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from oso_pipeline.studies.result_files import html_page

if TYPE_CHECKING:
    from oso_pipeline.studies.experiment.result import ExperimentResult, Row

_WIDTH, _HEIGHT, _EDGE = 160, 14, 5


def page_of(result: ExperimentResult, cells: Sequence[Sequence[str]], design: str) -> str:
    """Return the page; every text is escaped.

    Parameters
    ----------
    result
        Results of the experiment.
    cells
        The table as texts, headings first.
    design
        How to read it.
    """
    headings, *rows = cells
    scale = _Scale.of(result.rows)
    drawn = [[*texts, scale.drawn(row)] for texts, row in zip(rows, result.rows, strict=True)]
    settings = [[row.name, row.settings_in_words] for row in result.rows]
    return html_page(
        f"Experiment {result.name}",
        _table([*headings, f"overall accuracy, {scale}"], drawn),
        _table(["variant", "settings"], settings),
        Markup('<p class="quiet">{}</p>').format(design),
    )


@dataclass(frozen=True)
class _Scale:
    """From an accuracy to a place in the drawing."""

    low: float
    high: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Scale:
        """Return the scale that holds all intervals."""
        ends = [one for row in rows for one in (row.overall or {}).values() if one is not None]
        return cls(min(ends, default=0.0), max(ends, default=1.0))

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"

    def drawn(self, row: Row) -> Markup:
        """Return an accuracy as a dot, and its interval as a line."""
        overall = row.overall or {}
        estimate, low, high = (overall.get(name) for name in ("estimate", "low", "high"))
        parts = []
        if low is not None and high is not None:
            line = Markup('<line class="whisker" x1="{0:.1f}" x2="{1:.1f}" y1="{2}" y2="{2}"/>')
            parts.append(line.format(self._at(low), self._at(high), _HEIGHT // 2))
        if estimate is not None:
            dot = Markup('<circle class="dot" cx="{:.1f}" cy="{}" r="3.5"/>')
            parts.append(dot.format(self._at(estimate), _HEIGHT // 2))
        frame = Markup('<svg class="small" viewBox="0 0 {} {}" role="img">{}</svg>')
        return frame.format(_WIDTH, _HEIGHT, Markup("").join(parts))

    def _at(self, accuracy: float) -> float:
        share = (accuracy - self.low) / ((self.high - self.low) or 1.0)
        return _EDGE + share * (_WIDTH - 2 * _EDGE)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    body = Markup("").join(_line("td", row) for row in rows)
    table = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>")
    return table.format(_line("th", headings), body)


def _line(tag: str, texts: Sequence[str]) -> Markup:
    cell = Markup(f"<{tag}>{{}}</{tag}>")
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(text) for text in texts))
