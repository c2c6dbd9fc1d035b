"""A page with a figure: accuracy by day. It needs neither network nor scripts."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from oso_pipeline.report.charts import Chart, line_chart

if TYPE_CHECKING:
    from oso_pipeline.studies.season.result import SeasonSummary

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:820px;margin:32px auto;padding:0 20px}"
    "svg{width:100%;height:auto}text{font-size:9px;fill:#5b6762}.grid{stroke:#d9dfda}"
    "polyline{fill:none;stroke-width:1.6}.overall{stroke:#1f7a4d}.low,.high{stroke:#9cc7b0}"
    ".wanted{stroke:#d07a1f;stroke-dasharray:4 3}table{border-collapse:collapse}"
    "td,th{padding:4px 10px;text-align:left;border-bottom:1px solid #d9dfda}.quiet{color:#5b6762}"
)


def page_of(summary: SeasonSummary, found: str, design: str) -> str:
    """Return the page; every text is escaped."""
    title = escape(f"{summary.name}, {summary.year}: accuracy by day")
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            row.day or "the whole season",
            row.products,
            _number(row.overall["estimate"], row.overall["low"], row.overall["high"]),
            _number(row.share, row.interval.low, row.interval.high),
        )
        for row in summary.rows
    )
    return Markup(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv='
        "\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<title>{0}</title><style>{1}</style></head><body><h1>{0}</h1><p>{2}</p>{3}"
        '<p class="quiet">Overall accuracy by the day up to which images count, in days after the '
        "first of the table; thin: its interval; dashed: the share of the final accuracy that is "
        "looked for.</p><table><thead><tr><th>Images up to</th><th>Images</th>"
        "<th>Overall accuracy</th><th>Share of the final one</th></tr></thead><tbody>{4}</tbody>"
        '</table><p class="quiet">{5}</p></body></html>\n'
    ).format(title, Markup(_STYLE), found, _figure(summary), rows, design)


def _figure(summary: SeasonSummary) -> Markup:
    """Return the figure; nothing with fewer than two days."""
    days = [row for row in summary.rows if row.day is not None]
    if len(days) < 2:
        return Markup("")
    first = date.fromisoformat(str(days[0].day))
    x = [(date.fromisoformat(str(row.day)) - first).days for row in days]
    wanted = summary.reach * (summary.rows[-1].overall["estimate"] or float("nan"))
    series = {
        "low": [_or_nan(row.overall["low"]) for row in days],
        "high": [_or_nan(row.overall["high"]) for row in days],
        "wanted": [wanted] * len(days),
        "overall": [_or_nan(row.overall["estimate"]) for row in days],
    }
    return _drawn(line_chart("Overall accuracy by day", x, series))


def _drawn(chart: Chart) -> Markup:
    frame = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
    line = Markup('<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>')
    beside = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    below = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    drawn = Markup('<polyline class="{}" points="{}"/>')
    parts = [
        frame.format(chart.width, chart.height, chart.title),
        *(line.format(chart.left, chart.right, tick.at) for tick in chart.y_ticks),
        *(beside.format(chart.left - 5, tick.at + 3, tick.text) for tick in chart.y_ticks),
        *(below.format(tick.at, chart.bottom + 16, tick.text) for tick in chart.x_ticks),
        *(drawn.format(one.name, one.points) for one in chart.lines),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def _number(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" + ("" if low is None else f" ({low:.1%} to {high:.1%})")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
