"""Arguments in messages, as the command line spells them.

The library names an argument as Python does: ``pass adapter=FOLDER, or another method=``. A command shows the option:
``pass --adapter FOLDER, or another --method``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_ARGUMENT = re.compile(
    r"(?<![\w.\"'=/&?-])(?<!--set )(?<!column )([a-z][a-z_]*(?:\.[a-z_]+)*)=('[^']*'|(?:[\w./{}*-]*[\w/{}*-])?)"
)
"""A name, an equals sign and perhaps a value; not what stands in quotes or behind an option already."""
_ITEM_COLUMN = re.compile(r"item_columns=\{'(\w+)': ('[^']*'|\"[^\"]*\")\}")
_ELSEWHERE = {"resume=False": "--restart", "settings=": "--set", "model=": "--backbone", "config=": "--config"}
"""Arguments that are an option of another name."""


def as_flags(text: str, options: Collection[str]) -> str:
    """A message of the library with its arguments as options of the command.

    Args:
        text: The message or hint.
        options: The command's options (``--adapter``); an argument that is none of them stays as it is.

    Example:
        >>> as_flags("pass adapter=FOLDER, or another method=", {"--adapter", "--method"})
        'pass --adapter FOLDER, or another --method'
        >>> as_flags("show it with include_own_review=True", {"--include-own-review"})
        'show it with --include-own-review'
        >>> as_flags("name it: item_columns={'item': 'NAME'}", {"--item-column"})
        'name it: --item-column item=NAME'
        >>> as_flags("try context.k=4", {"--set"})
        'try --set context.k=4'
    """
    if "--item-column" in options:
        text = _ITEM_COLUMN.sub(lambda found: f"--item-column {found[1]}={found[2][1:-1]}", text)
    return _ARGUMENT.sub(lambda found: _spelled(found, options), text)


def _spelled(found: re.Match[str], options: Collection[str]) -> str:
    name, value = found[1], found[2].strip("'")
    whole = f"{name}={value}"
    known = _ELSEWHERE.get(whole) or _ELSEWHERE.get(f"{name}=")
    option = known if known is not None and known in options else f"--{name.replace('_', '-')}"
    if option in options:
        return option if value in ("", "True", "False") else f"{option} {value}"
    if "--column" in options and "." not in name:
        return f"--column {whole}"
    return f"--set {whole}" if "--set" in options and _is_setting(name) else found[0]


def _is_setting(name: str) -> bool:
    from idiolect.pipeline.settings import Settings

    return name.partition(".")[0] in Settings.model_fields
