"""A folder that is filled for a season, with its ledger and what lies there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from oso_pipeline.imagery.fetch_ledger import FetchedFile, Record, State
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.retrieval.choice import Stock
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.ledger import Ledger
from oso_pipeline.retrieval.offers import Need, Offer
from oso_pipeline.retrieval.transfer.outcomes import Fetched


@dataclass(frozen=True, eq=False)
class Target:
    """Where the products of some needs go.

    Parameters
    ----------
    folder
        The folder.
    needs
        What is needed there.
    candidates
        The products in all folders of the season.
    ledger
        Of the folder.
    """

    folder: FetchFolder
    needs: tuple[Need, ...]
    candidates: Sequence[Candidate]
    ledger: Ledger

    @classmethod
    def of(cls, into: Path, needs: Sequence[Need], candidates: Sequence[Candidate] = ()) -> Target:
        """Return a folder as a target."""
        folder = FetchFolder(into)
        return cls(folder, tuple(needs), candidates, Ledger(folder.ledger))

    def stock(self, need: Need) -> Stock:
        """Return what is there now of what a need is about."""
        place = (need.family, need.tile)
        candidates = [one for one in self.candidates if (one.family, one.tile) == place]
        return Stock(candidates, self.ledger.history(place), self.has)

    def has(self, record: Record) -> bool:
        """Return whether what a record says that was published is there, of the same size."""
        if not record.path:
            return False
        path = self.folder.into / record.path
        try:
            if len(record.files) == 1 and path.is_file():
                return path.stat().st_size == record.files[0].size_bytes
            return path.exists()
        except OSError:
            return False

    def record(self, offer: Offer, state: State, reason: str = "") -> Record:
        """Return the record of an offered product in a state, as of now."""
        sums = {one.checksum for one in offer.files}
        return Record(
            state,
            datetime.now(UTC),
            offer.product_id,
            offer.need.family,
            offer.need.tile,
            offer.acquired,
            offer.observation,
            offer.rank,
            offer.provider,
            offer.entry,
            sums.pop() if len(offer.files) == 1 else None,
            offer.size_bytes,
            reason=reason,
        )

    def fetched(self, offer: Offer, fetched: Fetched) -> Record:
        """Return the record of a product that is published."""
        path = fetched.path
        inside = path.is_relative_to(self.folder.into)
        base = self.record(offer, "flagged" if fetched.flag else "fetched", fetched.flag or "")
        return replace(
            base,
            size_bytes=sum(size for _, size, _ in fetched.files),
            path=path.relative_to(self.folder.into).as_posix() if inside else "",
            files=tuple(FetchedFile(*one) for one in fetched.files),
        )
