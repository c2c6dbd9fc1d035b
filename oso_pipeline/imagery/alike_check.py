"""Whether the products of a season were made alike, by what is known before anything runs.

Names of products state the baseline or the version. Whether CAMS was used stands in metadata:
these are read of a bounded number of products, spread over tiles and dates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.processing import UNSTATED, Processing
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.sanity import Made, check_alike
from oso_pipeline.imagery.twice import in_several_formats, several_formats, twice_seen

MOST_METADATA = 300
"""Products whose metadata are read; of a tile and year these are all."""


def check_alike_before(
    products: Mapping[str, Sequence[Candidate]], readers: Readers, problems: Problems
) -> None:
    """Warn where products of a tile were made in different ways, as far as names and metadata say.

    Parameters
    ----------
    products
        The products of each tile whose images serve.
    readers
        The readers of their families. One may offer ``named(candidate)``: the
        :class:`~oso_pipeline.imagery.processing.Processing` that the name tells, and
        ``stated(candidate)``: that which the metadata tell, None where they cannot be read.
    problems
        Takes the warnings of :func:`~oso_pipeline.imagery.sanity.check_alike` and of
        :mod:`~oso_pipeline.imagery.twice`, each once with the first tile and the number of others,
        and a note where not all metadata were read.
    """
    best, mixed = dict[str, tuple[Candidate, ...]](), list[Problem]()
    for tile, some in products.items():
        every = list(_best(some))
        twice = in_several_formats(every, readers.families)
        left_out = {one for one, _ in twice}
        best[tile] = tuple(one for one in every if one not in left_out)
        mixed += [*several_formats(twice), *twice_seen(best[tile], readers.composites)]
    of_family = {one.family: one for one in readers.readers}
    reads = {family: getattr(one, "stated", None) for family, one in of_family.items()}
    readable = [one for some in best.values() for one in some if reads[one.family]]
    read = _spread(readable, MOST_METADATA)
    stated = {one: read_one(one) for one in read if (read_one := reads[one.family])}
    found = Problems()
    for tile, some in best.items():
        check_alike([_made(one, readers, stated.get(one)) for one in some], tile, found)
    problems.extend(_once(found.warnings, "so does that of", "other tile"))
    problems.extend(_once(mixed, "and", "more such finding"))
    if len(read) < len(readable):
        problems.notes.append(
            f"how products were made is known from the names of {len(readable):,} products and "
            f"the metadata of {len(read):,} of them; the inventory compares all"
        )


def _once(found: Iterable[Problem], also: str, others_are: str) -> Iterator[Problem]:
    """Yield the first finding of each code, with the number of others."""
    by_code: dict[str, list[Problem]] = {}
    for problem in found:
        by_code.setdefault(problem.code, []).append(problem)
    for first, *others in by_code.values():
        more = f"; {also} {counted(len(others), others_are)}" if others else ""
        yield replace(first, message=first.message + more)


def _best(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield the best product of each acquisition."""
    groups: dict[tuple[str, ...], Candidate] = {}
    for one in candidates:
        key = (one.family, *one.observation)
        if key not in groups or one.rank > groups[key].rank:
            groups[key] = one
    yield from groups.values()


def _spread(candidates: Sequence[Candidate], most: int) -> Sequence[Candidate]:
    """Return at most so many products, every n-th by tile and date."""
    ordered = sorted(candidates, key=lambda one: (one.tile or "", one.acquired))
    return ordered[:: -(-len(ordered) // most) or 1]


def _made(one: Candidate, readers: Readers, stated: Processing | None) -> Made:
    """Return how a product was made; metadata count more than the name."""
    named = getattr(readers[one.family], "named", None)
    of_name: Processing = named(one) if named else UNSTATED
    return Made(one.acquired, one.family, "", of_name.updated(stated))
