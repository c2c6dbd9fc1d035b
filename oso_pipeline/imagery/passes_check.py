"""What is said of missing passes: a line for `oso check`, `oso plan` and the report, and a warning.

Most catalogues hold every pass. A family whose reader says `omits_cloudy` has none of scenes that
were too cloudy to be processed, so that winters lack many and no harm is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.passes import Completeness, Pass, completeness, has_cycle
from oso_pipeline.imagery.readers import Readers

NOTE = "completeness:"
"""Begin of the line."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WINTER = ("01", "02", "11", "12")
_LEAST = 4  # passes of a month of which a share tells something
_SHOWN = 3

Found = Mapping[str, Completeness | None]


@dataclass(frozen=True, slots=True)
class Expected:
    """Of which days images are expected.

    Parameters
    ----------
    first, last
        The days of the season on which there can be images by now, both included.
    omits_cloudy
        Whether scenes that were too cloudy to be processed are missing by nature.
    composites
        Families whose products are no passes.
    """

    first: date
    last: date
    omits_cloudy: bool = False
    composites: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Config, families: Collection[str] | None = None) -> Expected:
        """Return what is expected of the images of a configuration.

        Parameters
        ----------
        config
            Its season and readers.
        families
            Families of the products that were found; None where that is not known, and each of a
            reader of the configuration may be among them.
        """
        season, as_of = config.season, config.imagery.as_of
        ends = [season.end, datetime.now(UTC).date(), *([] if as_of is None else [as_of])]
        readers = Readers.of(config.imagery.readers)
        omits = any(
            getattr(reader, "omits_cloudy", False)
            for reader in readers.readers
            if families is None or reader.family in families
        )
        return cls(season.start, min(ends), omits, readers.composites)

    def compared(self, passes: Iterable[Pass]) -> Found:
        """Return which passes of each tile are missing; those of other satellites are ignored."""
        known = (one for one in passes if has_cycle(one.platform))
        return completeness(known, self.first, self.last)

    def problems(self, found: Found) -> list[Problem]:
        """Return the warning ``W-SEASON-PASSES`` of the tiles that lack many passes, if any does.

        A tile lacks many if a month lacks more than half of its passes, or the season 30 %.
        Where cloudy scenes are omitted: a month from March to October, or the season half.
        """
        lacking = {
            one.tile: why
            for one in found.values()
            if one is not None and (why := _lacking(one, self.omits_cloudy))
        }
        if not lacking:
            return []
        shown = "; ".join(f"tile {tile}: {why}" for tile, why in list(lacking.items())[:_SHOWN])
        more = f"; and {len(lacking) - _SHOWN} more tiles" if len(lacking) > _SHOWN else ""
        return [
            Problem(
                "W-SEASON-PASSES",
                f"many passes of the satellites are missing: {shown}{more}",
                "imagery.paths",
                "compare with the catalogue and fetch what is missing; pixels are interpolated "
                "over these gaps",
            )
        ]


def described(found: Completeness) -> str:
    """Return how many passes of a tile are missing.

    Examples
    --------
    >>> described(Completeness("31TCJ", {"2018-03": 6, "2018-04": 6}, {"2018-03": 2}))
    '2 of 12 passes are missing, all in March 2018'
    """
    return _counted(found.n_expected, found.missing)


def note(found: Found) -> str:
    """Return the line for all tiles; empty without any."""
    if not found:
        return ""
    known = [one for one in found.values() if one is not None]
    if not known:
        return f"{NOTE} passes are not counted, as the dates are too few or irregular"
    missing: Counter[str] = Counter()
    for one in known:
        missing.update(one.missing)
    text = f"{NOTE} {_counted(sum(one.n_expected for one in known), missing)}"
    worst = max(known, key=lambda one: one.n_missing)
    if len(known) > 1 and worst.n_missing:
        text += f"; most in tile {worst.tile} ({worst.n_missing} of {worst.n_expected})"
    if others := len(found) - len(known):
        text += f"; not counted: {counted(others, 'tile')} with too few or irregular dates"
    return text


def _lacking(found: Completeness, omits_cloudy: bool) -> str:
    """Return what a tile lacks; empty where it does not lack many."""
    months = [
        month
        for month, missing in found.missing.items()
        if _is_lacking(missing, found.expected[month])
        and not (omits_cloudy and month[-2:] in _WINTER)
    ]
    share = 0.5 if omits_cloudy else 0.3
    if not months and found.n_missing <= share * found.n_expected:
        return ""
    names = [
        f"{found.missing[month]} of {found.expected[month]} in {_name(month)}" for month in months
    ]
    more = f" and {len(names) - _SHOWN} more months" if len(names) > _SHOWN else ""
    worst = f", {', '.join(names[:_SHOWN])}{more}" if names else ""
    return f"{found.n_missing} of {found.n_expected}{worst}"


def _is_lacking(missing: int, expected: int) -> bool:
    return missing == expected > 1 or (expected >= _LEAST and 2 * missing > expected)


def _counted(expected: int, missing: Mapping[str, int]) -> str:
    total = sum(missing.values())
    if not total:
        return f"none of {expected:,} passes is missing"
    worst = max(missing, key=lambda month: missing[month])
    share = "all" if missing[worst] == total else f"{missing[worst]:,} of them"
    verb = "is" if total == 1 else "are"
    most = f"in {_name(worst)}" if total == 1 else f"{share} in {_name(worst)}"
    return f"{total:,} of {expected:,} passes {verb} missing, {most}"


def _name(month: str) -> str:
    """Return ``March 2018`` of ``2018-03``."""
    return f"{_MONTHS[int(month[-2:]) - 1]} {month[:4]}"
