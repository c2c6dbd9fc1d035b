"""Text from outside without what steers a terminal or cannot be written at all.

Names of files, classes and columns are chosen by whoever made the data. A terminal obeys control
characters, XML has no form for them, and half of a surrogate pair has none in UTF-8.
"""

from __future__ import annotations

import re

# Not line feed and tab; the second half are controls of the direction of writing.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def plain(text: str) -> str:
    r"""Return a text with such characters written as in Python, for example ``\x1b``.

    Examples
    --------
    >>> print(plain("wheat\x1b[2J"))
    wheat\x1b[2J
    """
    return _UNFIT.sub(lambda found: repr(found[0])[1:-1], text)


_IN_NO_FILE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def strange_to_files(text: str) -> str:
    r"""Return the first character that no path and no UTF-8 file may hold; empty where none is.

    Marks of the direction of writing may: names of files have them in some languages.

    Examples
    --------
    >>> strange_to_files("a\x00b"), strange_to_files("été")
    ('\x00', '')
    """
    found = _IN_NO_FILE.search(text)
    return found[0] if found else ""


def is_plain(text: str) -> bool:
    """Return whether a text holds no such character."""
    return _UNFIT.search(text) is None
