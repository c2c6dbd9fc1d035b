"""What a campaign has to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from oso_pipeline.retrieval.job import Patience
from oso_pipeline.retrieval.offers import Need
from oso_pipeline.retrieval.progress import Pace
from oso_pipeline.retrieval.searching import Portal
from oso_pipeline.retrieval.target import Target
from oso_pipeline.retrieval.worker import Budget


@dataclass(frozen=True)
class Plan:
    """What a campaign has to do, and with whom.

    Parameters
    ----------
    targets
        Folders with their needs.
    portals
        The providers, by name.
    order
        Names of providers in the order in which they are tried, by family.
    budget
        Limits of bytes.
    patience
        How long to go on with what fails.
    is_offline
        Whether catalogues answer from the disk alone.
    """

    targets: tuple[Target, ...]
    portals: Mapping[str, Portal]
    order: Mapping[str, Sequence[str]]
    budget: Budget = field(default_factory=Budget)
    patience: Patience = field(default_factory=Patience)
    is_offline: bool = False

    @property
    def needs(self) -> tuple[Need, ...]:
        """All needs."""
        return tuple(need for target in self.targets for need in target.needs)


@dataclass(frozen=True, slots=True)
class Left:
    """A product that is not there at the end.

    Parameters
    ----------
    product_id, tile
        Which.
    why
        State of its job, see `schedule.State`.
    reason, code
        Details.
    """

    product_id: str
    tile: str
    why: str
    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A search that did not end well in any round.

    Parameters
    ----------
    provider, need
        Of whom, and for what.
    reason, code
        Why.
    """

    provider: str
    need: Need
    reason: str
    code: str


@dataclass(frozen=True)
class Outcome:
    """What came of a campaign.

    Parameters
    ----------
    n_there
        Products that were there before.
    n_fetched, n_flagged
        Products that came, and how many of these with a flag.
    bytes_done, seconds
        What was received, and how long all took.
    left
        Products that are not there.
    unanswered
        Searches that did not end well.
    stopped
        Why it ended early; empty where it did not.
    error
        What made going on useless.
    paces
        Of the providers, at the end.
    """

    n_there: int
    n_fetched: int
    n_flagged: int
    bytes_done: int
    seconds: float
    left: tuple[Left, ...]
    unanswered: tuple[Unanswered, ...]
    stopped: str
    error: BaseException | None
    paces: tuple[Pace, ...]

    @property
    def is_complete(self) -> bool:
        """Whether all that is needed and offered is there, as far as all providers say."""
        return not self.left and not self.unanswered and not self.stopped

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": "outcome",
            "there": self.n_there,
            "fetched": self.n_fetched,
            "flagged": self.n_flagged,
            "bytes": self.bytes_done,
            "seconds": round(self.seconds, 1),
            "left": [asdict(one) for one in self.left],
            "unanswered": [
                {
                    "provider": one.provider,
                    "family": one.need.family,
                    "tile": one.need.tile,
                    "reason": one.reason,
                    "code": one.code,
                }
                for one in self.unanswered
            ],
            "stopped": self.stopped,
            "providers": [one.to_json() for one in self.paces],
        }
