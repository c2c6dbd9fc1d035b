"""Check, by the names of products, that every tile and the season have images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.alike_check import check_alike_before
from oso_pipeline.imagery.fetch_check import not_fetched
from oso_pipeline.imagery.findings import Findings
from oso_pipeline.imagery.inventory_builder import Period
from oso_pipeline.imagery.passes import Pass
from oso_pipeline.imagery.passes_check import Expected, note
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers

_SHOWN = 12
_EACH = 6
_LONG_DAYS = 60  # of a season that one day cannot stand for


def period_of(config: Config) -> Period:
    """Return the days whose images serve: those of the season and its margins, up to `as_of`."""
    margin = timedelta(days=config.imagery.margin_days)
    season, as_of = config.season, config.imagery.as_of
    return Period(season.start - margin, season.end + margin, as_of)


def check_products(config: Config, findings: Findings) -> Problems:
    """Find tiles without products, and a season without images (``E-TILE-NO-IMAGE``).

    Also where there is none by the day of `imagery.as_of` alone (``E-IMAGE-AS-OF``).

    Checks names, and metadata of some products: problems inside products are found by the
    inventory. Notes say how many products there are of the season, of which days, and how many
    passes of the satellites are missing; many are a warning (``W-SEASON-PASSES``), and so are
    products that were made in different ways (``W-SEASON-BASELINES`` ...), and products of which
    the ledger of `oso fetch` knows that they are missing (``W-FETCH-MISSING``).
    """
    problems = Problems()
    products = {tile: findings.of_tile(tile) for tile in config.imagery.tiles}
    missing = not_fetched(config, period_of(config), findings.candidates)
    problems.extend(missing.problems())
    if text := missing.note():
        problems.notes.append(text)
    report_missing(config, products, findings, problems)
    _check_clear(config, products, problems)
    if _check_season(config, products, findings, problems):
        _check_tiles(config, products, problems)
        problems.notes += _of_other_tiles(config, findings)
        _check_passes(config, findings, problems)
        period = period_of(config)
        used = {
            tile: [one for one in some if one.acquired in period] for tile, some in products.items()
        }
        check_alike_before(used, Readers.of(config.imagery.readers), problems)
    return problems


def _check_clear(
    config: Config, products: Mapping[str, Sequence[Candidate]], problems: Problems
) -> None:
    """Report a clear rule that has no meaning for a family of products (``E-IMAGE-CLEAR``)."""
    readers = Readers.of(config.imagery.readers)
    for family in sorted({candidate.family for some in products.values() for candidate in some}):
        refuses = getattr(readers[family], "refuses", None)
        if refuses is not None and (reason := refuses(config.imagery.clear)):
            hint = "set `imagery.clear` to oso or conservative"
            problems.error("E-IMAGE-CLEAR", reason, _folders(config), hint)


def report_missing(
    config: Config,
    products: dict[str, tuple[Candidate, ...]],
    findings: Findings,
    problems: Problems,
) -> None:
    """Report tiles without any product, unless the configuration allows for some of them."""
    without = [tile for tile, some in products.items() if not some]
    if config.imagery.allow_missing_tiles:
        if len(without) == len(products):
            _report_missing(config, ", ".join(without), findings, problems)
        return
    for tile in without:
        _report_missing(config, tile, findings, problems)


def _report_missing(config: Config, tile: str, findings: Findings, problems: Problems) -> None:
    others = sorted({c.tile for c in findings.candidates if c.tile})
    found = f"products of {_few(others)} were found" if others else "no product was found"
    if findings.unrecognised:
        names = ", ".join(one.path.name for one in findings.unrecognised[:3])
        found += f", and {len(findings.unrecognised)} not recognised ({names} ...)"
    problems.error(
        "E-TILE-NO-IMAGE",
        f"tile {tile} has no product; {found}",
        _folders(config),
        "add its products, correct `imagery.tiles`, or set `imagery.allow_missing_tiles: true`",
    )


def _check_season(
    config: Config,
    products: dict[str, tuple[Candidate, ...]],
    findings: Findings,
    problems: Problems,
) -> bool:
    """Report a season without a single image; return whether there is one."""
    # Without its margins, which hold images of the years before and after.
    period = Period(config.season.start, config.season.end, config.imagery.as_of)
    own = [candidate for some in products.values() for candidate in some]
    if any(candidate.acquired in period for candidate in own):
        return True
    if _is_too_early(config, f"the season {config.year}", period, own, problems):
        return False
    if not own and not findings.unrecognised:
        return False  # every tile is reported already, unless it may be missing
    if own:
        found = f"{len(own)} products of {_days(own)}"
    else:
        names = ", ".join(one.path.name for one in findings.unrecognised[:3])
        found = f"only what is of another sensor or kind ({names})"
    problems.error(
        "E-SEASON-NO-IMAGE",
        f"imagery.paths: the season {config.year} has no image; expected Sentinel-2 products of "
        f"{period.first} to {period.last}, found {found}",
        _folders(config),
        "add the products of that season, or correct the folders and the dates",
    )
    return False


def _check_tiles(
    config: Config, products: dict[str, tuple[Candidate, ...]], problems: Problems
) -> None:
    """Report tiles whose products are all of other days; note what the others have."""
    period, served = period_of(config), dict[str, list[Candidate]]()
    for tile, some in products.items():
        used = [candidate for candidate in some if candidate.acquired in period]
        if used:
            served[tile] = used
        elif not some or config.imagery.allow_missing_tiles:
            continue
        elif not _is_too_early(config, f"tile {tile}", period, some, problems):
            problems.error(
                "E-TILE-NO-IMAGE",
                f"tile {tile} has no product from {period.first} to {period.last}; found "
                f"{len(some)} products of {_days(some)}",
                _folders(config),
                "add its products of the season, correct `imagery.tiles`, or set "
                "`imagery.allow_missing_tiles: true`",
            )
    problems.notes += _notes(served)


def _check_passes(config: Config, findings: Findings, problems: Problems) -> None:
    """Note how many passes of the satellites are missing, and warn where it is many."""
    own = [one for tile in config.imagery.tiles for one in findings.of_tile(tile)]
    expected = Expected.of(config, {one.family for one in own})
    missing = expected.compared(
        Pass(one.tile, one.platform, one.acquired)
        for one in own
        if one.tile is not None and one.family not in expected.composites
    )
    if text := note(missing):
        problems.notes.append(text)
    problems.extend(expected.problems(missing))
    _check_single_dates(own, period_of(config), problems)


def _check_single_dates(own: Sequence[Candidate], period: Period, problems: Problems) -> None:
    """Warn where tiles have images of one day of a long season."""
    length = (period.until - period.first).days + 1
    if length < _LONG_DAYS:
        return
    days: dict[str, set[date]] = {}
    for one in own:
        if one.tile is not None and one.acquired in period:
            days.setdefault(one.tile, set()).add(one.acquired.date())
    single = {tile: min(some) for tile, some in days.items() if len(some) == 1}
    if single:
        shown = _few([f"T{tile} ({day})" for tile, day in single.items()])
        problems.warn(
            "W-SEASON-PASSES",
            f"{counted(len(single), 'tile')} with images of one day in {length} days: "
            f"{shown}; every date of its series repeats that day",
            "imagery.paths",
            "fetch more images of the season, or correct `imagery.paths`",
        )


def _is_too_early(
    config: Config, what: str, period: Period, own: Sequence[Candidate], problems: Problems
) -> bool:
    """Report that `imagery.as_of` alone leaves no image, and when there is one; else nothing."""
    later = [one for one in own if period.leaves_out(one.acquired) == "acquired_later"]
    if not later:
        return False
    first = min(candidate.acquired.date() for candidate in later)
    problems.error(
        "E-IMAGE-AS-OF",
        f"imagery.as_of: {what} has no image from {period.first} to {period.until}; the first is "
        f"of {first}",
        _folders(config),
        f"set `imagery.as_of: {first}` or a later day, add earlier products, or leave it out",
    )
    return True


def _notes(served: Mapping[str, Sequence[Candidate]]) -> list[str]:
    """Return text on the products of each tile, of many tiles in one line."""
    if len(served) <= _EACH:
        return [
            f"tile {tile}: {counted(len(some), 'product')} of {_days(some)}"
            for tile, some in served.items()
        ]
    counts = [len(some) for some in served.values()]
    days = _days([candidate for some in served.values() for candidate in some])
    each = f"{min(counts)} to {max(counts)} a tile"
    return [f"{len(served)} tiles: {sum(counts)} products of {days}, {each}"]


def _of_other_tiles(config: Config, findings: Findings) -> list[str]:
    """Note products that are not read because `imagery.tiles` does not list their tile."""
    others = [c.tile for c in findings.candidates if c.tile not in (None, *config.imagery.tiles)]
    if not others:
        return []
    tiles = _few(sorted({str(tile) for tile in others}))
    products = counted(len(others), "product")
    return [f"not read, as imagery.tiles does not list them: {products} of {tiles}"]


def _days(candidates: Sequence[Candidate]) -> str:
    days = sorted(candidate.acquired.date() for candidate in candidates)
    return f"{days[0]} to {days[-1]}"


def _folders(config: Config) -> str:
    return ", ".join(map(str, config.imagery.paths))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
