"""A shard of a run: the part of one element of a job array, without a shared scheduler."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from oso_pipeline.tasks.task import Task

_FORM = re.compile(r"([0-9]+)/([0-9]+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal shares of the tasks of a stage.

    Parameters
    ----------
    number
        Which share, from 1.
    count
        How many shares there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"found shard {self}, expected i/n with 1 <= i <= n, for example 3/20")

    def __str__(self) -> str:
        """Return the shard as text, for example ``3/20``."""
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``; i counts from 1, as ``--array=1-n`` of Slurm and ``-J 1-n`` of PBS do.

        Raises
        ------
        ValueError
            If that is not what was found.

        Examples
        --------
        >>> Shard.parse("3/20")
        Shard(number=3, count=20)
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"found shard {text!r}, expected i/n with 1 <= i <= n, for example 3/20"
            )
        return cls(int(found[1]), int(found[2]))

    def share(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """Return the tasks of this shard: a run of neighbours with its part of the work.

        Neighbouring tasks read the same files and use the same model. The division depends on the
        plan alone, not on what is done already: each shard finds its own, every task belongs
        to exactly one, and the same command after an interruption goes on with the same share.
        """
        work = [task.cost.core_seconds for task in tasks]
        if not any(work):
            work = [1.0] * len(tasks)
        total = sum(work)
        middles = (end - own / 2 for end, own in zip(accumulate(work), work, strict=True))
        return tuple(
            task
            for task, middle in zip(tasks, middles, strict=True)
            if min(int(middle * self.count / total), self.count - 1) == self.number - 1
        )
