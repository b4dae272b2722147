"""What is written, as words for prompts: a review, a headline, a reply. A task is a small YAML file.

The templates take their nouns and headings from it, so that a corpus of another kind needs no templates of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from idiolect.config import read_yaml
from idiolect.errors import ConfigError
from idiolect.registry import suggest

FOLDER = Path(__file__).parent
NAMES: tuple[str, ...] = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
"""Tasks that ship with the package."""
DEFAULT = "review"

_MOST_CHARS = 80
_PLAIN = re.compile(r"[^\W_][\w' ,;()-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Nouns, phrases and headings of prompts.

    Example:
        >>> load_task("headline").texts
        'headlines'
    """

    text: str
    """What users write: "review"."""
    texts: str
    """Plural."""
    a_text: str
    """With its article: "a review"."""
    item: str
    """What they write about: "item"."""
    items: str
    """Plural."""
    an_item: str
    """What the model is given: "an item", "the abstract of a paper"."""
    given: str = ""
    """What else it is given of the new text: "the rating and title"; empty: nothing."""
    wrote_about: str = "wrote about"
    """What others did with the same items: "reviewed"."""
    item_heading: str = "Item"
    """Before an item's title."""
    about_heading: str = "About"
    """Before an item's description."""


@lru_cache(maxsize=64)
def load_task(name: str) -> Task:
    """A shipped task by name, or one of your own by the path of its YAML file.

    Args:
        name: One of ``NAMES``, or a path that ends in ``.yaml`` or ``.yml``.

    Raises:
        ConfigError: There is no such task, or the file does not describe one.
    """
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in NAMES:
        raise ConfigError(
            f"unknown task {name!r}", hint=f"{suggest(name, NAMES)}; a task of your own is the path of a .yaml file"
        )
    path = Path(name) if own else FOLDER / f"{name}.yaml"
    return _task(read_yaml(path), name)


def _task(values: dict[str, Any], name: str) -> Task:
    known = {field.name for field in fields(Task)}
    unknown = sorted(map(str, values.keys() - known))
    if unknown:
        raise ConfigError(
            f"task {name!r}: unknown field {unknown[0]!r}", hint=f"the fields are {', '.join(sorted(known))}"
        )
    for field, value in values.items():
        if not isinstance(value, str) or len(value) > _MOST_CHARS or (value and not _PLAIN.match(value)):
            raise ConfigError(
                f"task {name!r}: {field} is no short phrase", hint=f"words only, {_MOST_CHARS} characters at most"
            )
    try:
        return Task(**values)
    except TypeError:
        missing = sorted({"text", "texts", "a_text", "item", "items", "an_item"} - values.keys())
        raise ConfigError(f"task {name!r}: {missing[0]} is missing", hint="see docs/methods.md") from None
