"""Names of fields and layers, which change with the format and the edition of a database."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

_SHAPEFILE_WIDTH = 10


def plain_name(name: str) -> str:
    """Return a name without case, accents and separators.

    Examples
    --------
    >>> plain_name("Zone_de_Végétation") == plain_name("ZONE DE VEGETATION")
    True
    >>> plain_name("USAGE1") == plain_name("usage_1")
    True
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def find_field(names: Iterable[str], present: Sequence[str]) -> str | None:
    """Return the field that goes by one of several names, in the order of preference.

    A name is found in any case, with or without underscores and accents, and cut to ten
    letters as shapefiles do. A field that is equal comes before one that is cut.

    Examples
    --------
    >>> find_field(["cleabs", "ID"], ["id", "CLEABS", "nature"])
    'CLEABS'
    >>> find_field(["persistance"], ["ID", "PERSISTANC"])
    'PERSISTANC'
    >>> find_field(["USAGE1"], ["cleabs", "usage_1", "usage_2"])
    'usage_1'
    """
    wanted = list(names)
    known = {plain_name(name): name for name in reversed(present)}
    cut = {plain_name(name[:_SHAPEFILE_WIDTH]): name for name in wanted}
    for name in wanted:
        if found := known.get(plain_name(name)):
            return found
    return next((known[name] for name in cut if name in known), None)


def nearest(wanted: str, present: Sequence[str]) -> str:
    """Suggest the name that was probably meant.

    Shapefiles cut names to 10 characters, and programs differ in case, so these come first.

    Examples
    --------
    >>> nearest("land_cover_code", ["id", "land_cover"])
    "did you mean 'land_cover'? (shapefiles cut names to 10 characters)"
    """
    folded = {name.casefold(): name for name in reversed(present)}
    if found := folded.get(wanted.casefold()):
        return f"did you mean {found!r}?"
    if len(wanted) > _SHAPEFILE_WIDTH and (
        found := folded.get(wanted[:_SHAPEFILE_WIDTH].casefold())
    ):
        return f"did you mean {found!r}? (shapefiles cut names to 10 characters)"
    close = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]!r}?" if close else "name one of those that are there"
