"""An explanation as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from oso_pipeline.core.wording import counted
from oso_pipeline.studies.explain.explanation import PixelExplanation
from oso_pipeline.studies.explain.parts import ImageUse, NearPolygon, PixelSeries

_MOST_VOTES, _BAR = 6, 20


def lines(found: PixelExplanation) -> Iterator[str]:
    """Yield the lines of an explanation."""
    place, answer = found.place, found.answer
    yield (
        f"{answer.label}, confidence {answer.confidence} %, "
        f"{counted(answer.validity, 'clear date')}"
    )
    yield from (f"  ! {flag.text}" for flag in found.flags)
    in_map = "" if place.map_row is None else f", row {place.map_row} column {place.map_column}"
    yield f"map {found.run} of {found.year}{in_map}"
    yield f"  x {place.x:.1f}, y {place.y:.1f} (EPSG:{place.epsg})"
    yield f"  longitude {place.longitude:.6f}, latitude {place.latitude:.6f}"
    block = f", block {place.block}" if place.block else ""
    yield f"  tile {place.tile}, row {place.row}, column {place.column}{block}"
    yield from _votes(found)
    yield from _images(found)
    if found.series is not None:
        yield from _series(found.series)
    if found.polygons:
        yield "reference polygons near by"
        yield from (f"  {_polygon(one)}" for one in found.polygons)
    if found.missing:
        yield "what cannot be said"
        yield from (f"  {text}" for text in found.missing)


def _votes(found: PixelExplanation) -> Iterator[str]:
    model = found.model
    if model is None:
        return
    facts = ", ".join(f"{value} {name}" for name, value in model.facts.items())
    given = ", trained by another run" if model.given else ""
    yield f"model {model.variant}/{model.stratum}: {model.kind}, {facts}{given}"
    for one in found.votes[:_MOST_VOTES]:
        amount = "" if one.votes is None else f"{counted(one.votes, 'vote')}, "
        bar = "#" * round(_BAR * one.share)
        yield f"  {bar:<{_BAR}} {amount}{100 * one.share:.1f} %  {one.label}"
    rest = found.votes[_MOST_VOTES:]
    if rest:
        share = 100 * sum(one.share for one in rest)
        yield f"  {'':<{_BAR}} {share:.1f} %  {counted(len(rest), 'other class', 'other classes')}"


def _images(found: PixelExplanation) -> Iterator[str]:
    if not found.images:
        return
    yield f"images of the tile: {len(found.used)} used, {len(found.hidden)} hidden"
    reasons = Counter(one.reason for one in found.hidden)
    for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield f"  {number} x {reason}"
    for one in found.images:
        yield f"  {_image(one)}"


def _image(one: ImageUse) -> str:
    day = "no date   " if one.day is None else one.day.isoformat()
    detail = f" ({one.detail})" if one.detail else ""
    return (
        f"{day} {one.platform or '-':<3} {'used  ' if one.used else 'hidden'} {one.reason}{detail}"
    )


def _series(series: PixelSeries) -> Iterator[str]:
    main = series.main
    columns = [str(one.label) for one in main.classes]
    heads = "".join(f"  {name[:20]:>20}" for name in columns)
    yield f"{main.name} of the pixel, and mean of the training samples"
    yield f"  {'date':<10}  {'observed':>8}  {'filled':>8}{heads}"
    observed = dict(zip(series.observed_days, main.observed, strict=True))
    filled = dict(zip(series.days, range(len(series.days)), strict=True))
    for day in sorted({*observed, *filled}):
        seen = _number(observed.get(day), main.scale)
        number = filled.get(day)
        value = _number(None if number is None else main.filled[number], main.scale)
        means = "".join(
            f"  {_number(None if number is None else one.mean[number], main.scale):>20}"
            for one in main.classes
        )
        yield f"  {day.isoformat()}  {seen:>8}  {value:>8}{means}".rstrip()


def _number(value: float | None, scale: float) -> str:
    if value is None:
        return ""
    return f"{value * scale:.3f}" if scale < 1 else f"{value:.0f}"


def _polygon(one: NearPolygon) -> str:
    where = "around the pixel" if one.distance_m == 0 else f"{one.distance_m:.0f} m away"
    doubt = "" if one.doubted is None else f"; label doubted, {one.doubted} is more likely"
    return f"{one.label}, {where}, {one.side}, {one.source}, polygon {one.polygon_id}{doubt}"
