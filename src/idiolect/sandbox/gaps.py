"""What the gaps of a phrase are filled with."""

from __future__ import annotations

import re
from functools import cache

_VOWEL_SOUND = re.compile(r"(?i)(?!uni[^nm]|use|eu|one\b|once\b|ubiq)[aeiou]|hour|hon(?:est|o)|heir")


@cache
def article(phrase: str) -> str:
    """``phrase`` with "a" or "an" before it, by its sound."""
    return f"{'an' if _VOWEL_SOUND.match(phrase) else 'a'} {phrase}"


def capital(text: str) -> str:
    """``text`` with its first letter in upper case, behind an opening quotation mark if it has one."""
    start = 1 if text[0] == '"' else 0
    return f"{text[:start]}{text[start].upper()}{text[start + 1 :]}"


class Gaps(dict[str, str]):
    """Values by name; ``a_x`` is ``x`` with its article, and an upper-case first letter capitalises the value."""

    def __missing__(self, name: str) -> str:
        if name[0].isupper():
            return capital(self[name[0].lower() + name[1:]])
        if name.startswith("a_"):
            return article(self[name[2:]])
        raise KeyError(name)
