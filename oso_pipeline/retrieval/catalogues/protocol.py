"""What a catalogue does, whatever protocol it speaks."""

from __future__ import annotations

from typing import Protocol

from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need, Offer


class Catalogue(Protocol):
    """A catalogue of one provider; its methods may be called from several threads."""

    def search(self, need: Need, deadline: Deadline) -> Answered:
        """Return all products of a need.

        Raises
        ------
        Failure
            If the catalogue does not answer whole before the deadline, or refuses.
        """
        ...

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return whether a product can be downloaded now; asking may bring it from tape.

        None where the provider has no answer to that.

        Raises
        ------
        Failure
            If it does not answer.
        """
        ...
