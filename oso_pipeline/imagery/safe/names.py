"""Names of granules, and folders of the AWS archive."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from oso_pipeline.imagery.sen2cor.names import parse_moment

_GRANULE = re.compile(r"^L2A_T(?P<tile>\d{2}[A-Z]{3})_A\d{6}_(?P<sensed>\d{8}T\d{6})$")
_SINERGISE = re.compile(
    r"(?:^|/)(?P<zone>\d{1,2})/(?P<belt>[C-X])/(?P<square>[A-Z]{2})"
    r"/(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})/\d+$"
)


def parse_granule_name(text: str) -> tuple[str, datetime] | None:
    """Return tile and time of the folder of a granule; None if `text` is no such name.

    Examples
    --------
    >>> parse_granule_name("L2A_T33XWJ_A026649_20220413T150756")[0]
    '33XWJ'
    """
    match = _GRANULE.match(text)
    sensed = parse_moment(match["sensed"]) if match else None
    return None if match is None or sensed is None else (match["tile"], sensed)


def parse_sinergise_path(path: str) -> tuple[str, datetime] | None:
    """Return tile and day of a folder in the layout of the AWS archive; None if it is none.

    Examples
    --------
    >>> parse_sinergise_path("archive/tiles/31/T/CJ/2022/1/25/0")[0]
    '31TCJ'
    """
    match = _SINERGISE.search(path)
    if match is None:
        return None
    try:
        day = datetime(int(match["year"]), int(match["month"]), int(match["day"]), tzinfo=UTC)
    except ValueError:
        return None
    return f"{int(match['zone']):02d}{match['belt']}{match['square']}", day
