"""What a reader knows of products that are not there yet, so that they can be fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.protocol import Candidate

NOWHERE = Path()
"""Path of candidates of which only the name is known."""


def _every(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Delivery:
    """How products of a family are named, and which files they have.

    Parameters
    ----------
    described
        Returns the product that a name tells, of whichever satellite and level, if it has the form
        of the family; None otherwise. Its path is `NOWHERE`.
    named
        The same for products that the reader reads; None for others.
    reads
        Whether the reader opens a file of a bare name, for whichever bands.
    required
        Description and pattern of each file that is needed beside the bands.
    band
        Pattern of the file of a band, with ``{band}`` (``B2``), ``{code}`` (``B02``) and
        ``{resolution}``, metres; None where names say nothing.
    """

    described: Callable[[str], Candidate | None]
    named: Callable[[str], Candidate | None]
    reads: Callable[[str], bool] = _every
    required: tuple[tuple[str, str], ...] = ()
    band: str | None = None

    def missing(self, names: Iterable[str], bands: Iterable[str]) -> tuple[str, ...]:
        """Return which needed files are not among `names`, by their descriptions."""
        bare = [PurePosixPath(name).name for name in names]
        return tuple(
            shown
            for shown, pattern in (*self.required, *self._of_bands(bands))
            if not any(re.search(pattern, name, re.IGNORECASE) for name in bare)
        )

    def _of_bands(self, bands: Iterable[str]) -> Iterator[tuple[str, str]]:
        for band in bands if self.band is not None else ():
            yield band, (self.band or "").format(**file_of_band(band))


def file_of_band(band: str) -> dict[str, object]:
    """Return how names of files tell a band of Sentinel-2.

    Examples
    --------
    >>> file_of_band("B2"), file_of_band("B8A")["code"]
    ({'band': 'B2', 'code': 'B02', 'resolution': 10}, 'B8A')
    """
    code = f"B0{band[1:]}" if re.fullmatch(r"B\d", band) else band
    resolution = SENTINEL2.resolution_m(band) if band in SENTINEL2.names else 10
    return {"band": band, "code": code, "resolution": resolution}
