"""A product on its way, and how much patience there is with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from oso_pipeline.imagery.fetch_ledger import Record
from oso_pipeline.retrieval.choice import Wanted
from oso_pipeline.retrieval.offers import Offer
from oso_pipeline.retrieval.target import Target

State = Literal["ready", "running", "waiting", "resting", "held", "done", "lost", "replaced"]
"""Of a job. ``waiting`` is on tape, ``resting`` failed with all providers for now, ``held`` would
pass a limit, ``lost`` is given up in this campaign."""

OVER: frozenset[State] = frozenset(("held", "done", "lost", "replaced"))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a campaign goes on with what fails.

    Parameters
    ----------
    tries, tries_of_part
        With one provider before the next one is tried: where nothing came yet, and where a part is
        there, which another provider could not continue.
    backoff_s, longest_backoff_s
        Before another try with it; doubled each time.
    pauses_s
        Before all providers of a product are tried once more; as many rounds as there are pauses.
    outage_of_part_s
        How long a provider may be left alone before its products of which a part is there go to
        the next one; others go at once.
    outage_s
        How long it may be left alone before its products are given up for this round.
    tape_poll_s, longest_tape_poll_s
        Between questions whether a product has come from tape; doubled each time.
    shared_s
        Longest time between looks at a product that another process fetches.
    """

    tries: int = 2
    tries_of_part: int = 5
    backoff_s: float = 2.0
    longest_backoff_s: float = 120.0
    pauses_s: tuple[float, ...] = (60.0, 300.0, 900.0, 3600.0)
    outage_of_part_s: float = 300.0
    outage_s: float = 3600.0
    tape_poll_s: float = 60.0
    longest_tape_poll_s: float = 3600.0
    shared_s: float = 15.0

    def backoff(self, n_tries: int) -> float:
        """Return the seconds before the next try after so many."""
        return min(self.backoff_s * 2.0 ** max(0, n_tries - 1), self.longest_backoff_s)

    def tape_poll(self, n_polls: int) -> float:
        """Return the seconds before the next question after so many."""
        return min(self.tape_poll_s * 2.0 ** min(n_polls, 20), self.longest_tape_poll_s)


@dataclass(eq=False)
class Job:
    """A product on its way.

    Attributes
    ----------
    target
        Where it goes.
    wanted
        Its offers.
    turn, first_turn
        Which of the offers is tried now, and which in the first round: one whose part is there.
    has_part
        Whether bytes came from the provider of this offer.
    n_tries
        How often with the provider of this offer.
    n_rounds
        How often all providers failed.
    state
        See `State`.
    tape_until_s
        Until when it may wait for its tape, by the clock of the schedule; None if it does not wait.
    tape_turns, n_polls
        Offers that are on tape, and how often it was put off for that.
    n_looks
        How often another process was at it.
    ticket
        Number of its place in a queue; others are out of date.
    reason
        Why it is not there.
    code
        Code of the last failure.
    replaces
        Records of older versions that are there.
    """

    target: Target
    wanted: Wanted
    turn: int = 0
    first_turn: int = 0
    has_part: bool = False
    n_tries: int = 0
    n_rounds: int = 0
    state: State = "ready"
    ready_at_s: float = 0.0
    tape_until_s: float | None = None
    tape_turns: list[int] = field(default_factory=list)
    n_polls: int = 0
    n_looks: int = 0
    ticket: int = -1
    reason: str = ""
    code: str = ""
    replaces: tuple[Record, ...] = ()

    @property
    def offer(self) -> Offer:
        """The offer that is tried now."""
        return self.wanted.offers[self.turn]

    @property
    def has_another(self) -> bool:
        """Whether there is another provider to try in this round."""
        return self.turn + 1 < len(self.wanted.offers)
