"""What may come of fetching a product, beside a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Exceptions are not frozen: `contextlib` sets their traceback.


@dataclass(frozen=True)
class Fetched:
    """A product that is published.

    Parameters
    ----------
    path
        Where it is: an archive, or a folder.
    files
        Name, size in bytes and SHA-256 of each file; names with ``/`` between folders.
    flag
        Why it is accepted although something is not as published; None for most.
    remarks
        What could not be checked, for the log.
    was_there
        Whether it was there before, whole: nothing was downloaded.
    """

    path: Path
    files: tuple[tuple[str, int, str], ...]
    flag: str | None = None
    remarks: tuple[str, ...] = ()
    was_there: bool = False


@dataclass(eq=False)
class OnTape(Exception):
    """The product has to come from tape first; asking for it may have started that.

    Parameters
    ----------
    product_id, provider
        The product and who has it.
    found
        By what that was noticed.
    """

    product_id: str
    provider: str
    found: str

    def __str__(self) -> str:
        """Return it as a text."""
        return f"{self.product_id} is on tape with {self.provider}: {self.found}"


@dataclass(eq=False)
class Quarantined(Exception):
    """The product is damaged where it comes from: the same came several times.

    Parameters
    ----------
    product_id, provider
        The product and who has it.
    reason
        What is wrong with it.
    path
        Where the download is kept.
    """

    product_id: str
    provider: str
    reason: str
    path: Path

    def __str__(self) -> str:
        """Return it as a text."""
        return f"{self.product_id} of {self.provider} is damaged: {self.reason}"


@dataclass(eq=False)
class AtWork(Exception):
    """Another process, or another thread of this one, fetches the product now.

    Parameters
    ----------
    product_id
        The product.
    """

    product_id: str

    def __str__(self) -> str:
        """Return it as a text."""
        return f"{self.product_id} is being fetched by another process"
