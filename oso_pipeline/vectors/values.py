"""Values of a column as text that compares."""

from __future__ import annotations

import math
import re
import unicodedata

import pandas as pd

_PUNCTUATION = re.compile(r"[\W_]+")
WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")


def written(value: object) -> str:
    """Return a value as text, without spaces around it and with accents in one form.

    macOS writes accents as letters of their own; a person sees no difference.

    Examples
    --------
    >>> written(" fore\u0302t ") == "forêt"
    True
    """
    return unicodedata.normalize("NFC", str(value)).strip()


def normal_value(value: object) -> str | None:
    """Return a value as text that does not depend on how a format or system stores it.

    Examples
    --------
    >>> [normal_value(v) for v in ("01", 1, 1.0, " 1.0 ", "BTH ", float("nan"), None, "")]
    ['1', '1', '1', '1', 'BTH', None, None, None]
    """
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    text = written(value)
    if WHOLE_NUMBER.fullmatch(text):
        return str(int(text.split(".")[0]))
    return text or None


def normal_text(value: object) -> str | None:
    """Return a value as text that does not depend on how people write it.

    Beyond `normal_value`: without regard to case, to the form of accents, and to punctuation
    and spaces, which all become one space.

    Examples
    --------
    >>> [normal_text(v) for v in ("01", -1.0, "Blé  d’hiver", "BLE\u0301 D'HIVER", "n.r.", None)]
    ['1', '-1', 'blé d hiver', 'blé d hiver', 'n r', None]
    """
    text = normal_value(value)
    if text is None or WHOLE_NUMBER.fullmatch(text):
        return text
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _PUNCTUATION.sub(" ", folded).strip() or text
