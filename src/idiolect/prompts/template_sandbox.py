"""A sandbox for templates, because a folder of templates may come from anybody.

A template can read the fields of its variables and format text. It can call no other method (those of arrays write
files) and nothing of Python. Its steps and the length of its output are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from idiolect.config import Config
from idiolect.errors import ConfigError
from idiolect.sqlite import is_sqlite

MAX_TEMPLATE_BYTES = 2**18
"""Largest template file."""
MAX_CHARS = 4_000_000
"""Longest text that a template may make, intermediate ones included."""
MAX_STEPS = 200_000
"""Most iterations, calls and included files in one rendering of a file."""

TEMPLATE_ERRORS = (
    jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
    MemoryError, SyntaxError, RuntimeError,
)  # fmt: skip
"""What compiling or rendering a template can raise."""

_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select", "selectattr", "sort",
    "title", "trim", "unique", "upper", "wordcount",
)  # fmt: skip
"""Filters of jinja whose result is no longer than their input."""
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        ("capitalize", "casefold", "count", "endswith", "find", "isdigit", "isupper", "lower", "lstrip", "partition",
         "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper")
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    LoopContext: frozenset(("changed", "cycle")),
}  # fmt: skip
"""Methods that a template may call."""
_LOOP = frozenset(
    ("depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0")
)

_steps: ContextVar[list[int] | None] = ContextVar("steps", default=None)


def reason(error: BaseException) -> str:
    """Why a template failed, in one short line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def read_template(path: Path, folder: Path) -> str:
    """The text of a template.

    Args:
        path: The file.
        folder: Of the templates. A link that leads out of it is refused, because its text would get into a prompt.

    Raises:
        ConfigError: The file is too large, not UTF-8, or lies outside of the folder.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"the template {str(path)!r} is a link that leads out of its folder", hint="copy the file")
    if is_sqlite(path):  # perhaps a store, which nothing but SQLite may open
        raise ConfigError(f"the template {str(path)!r} is an SQLite database", hint="name a folder of templates")
    with path.open("rb") as file:
        content = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise ConfigError(f"the template {str(path)!r} is larger than {MAX_TEMPLATE_BYTES:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the template {str(path)!r} is not UTF-8", hint="save it as UTF-8") from error


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """A jinja environment in which a template can only read and format.

    Args:
        folders: Searched for templates, in this order.
        description_chars: Longest item description (the filter ``shorten``).
    """

    intercepted_binops = frozenset(("+", "*", "**", "%", "-", "/", "//"))

    def __init__(self, folders: Sequence[Path], description_chars: int) -> None:
        self.sources = _Files(folders)
        super().__init__(
            loader=self.sources,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
            finalize=_printable,
        )
        self.filters = {name: FILTERS[name] for name in _FILTERS} | {
            "shorten": partial(shorten, limit=description_chars),
            "quoted": lambda text: _bounded("\n> ".join(str(text).splitlines())),
            "one_line": lambda text: " ".join(str(text).splitlines()),
            "stars": lambda rating: f"{rating:g}",
            "join": _joined,
            "replace": _replaced,
            "_counted": _counted,
            "_concatenated": _concatenated,
        }
        self.globals: dict[str, Any] = {"range": self._range}
        # Blocks, macros and whole files join their pieces with it.
        self.concat = _concat

    @contextmanager
    def rendering(self) -> Iterator[None]:
        """Counts the steps of the rendering inside the block."""
        token = _steps.set([0])
        try:
            yield
        finally:
            _steps.reset(token)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read an attribute: fields and properties of plain values, and a few methods."""
        kind = _readable(type(obj), attr)
        return kind == "method" or (kind == "field" and _is_plain(value))

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """Refuse at once, because an undefined value could pass a test such as ``is none``."""
        raise SecurityError(f"a template may not read {attribute!r} of {type(obj).__name__!r}")

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether a template may call it: macros, ``virtual_token``, ``range``, loops, and methods of plain values."""
        if isinstance(obj, Macro | LoopContext) or obj == self._range:
            return True
        if isinstance(obj, partial):
            return getattr(obj.func, "__name__", "") == "_virtual_token"
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        return any(name in names for kind, names in _METHODS.items() if isinstance(owner, kind))

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        _step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: D102
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _concat((left, right))
        if not all(isinstance(value, int | float) and abs(value) < 1e15 for value in (left, right)):
            raise SecurityError(f"a template may use {operator!r} only with numbers")
        if operator == "**" and abs(right) > 8:
            raise SecurityError("a template may use no power above 8")
        return super().call_binop(context, operator, left, right)

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> jinja2.Template:  # noqa: D102
        _step()
        return super().get_template(name, parent, globals)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        for loop in list(template.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        return _without_concat(template)

    def _range(self, *args: int) -> range:
        found = range(*args)
        if len(found) > MAX_STEPS:
            raise SecurityError(f"a template may count no further than {MAX_STEPS:,}")
        return found


class _Files(jinja2.BaseLoader):
    """Template files of folders, read with ``read_template``."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        parts = template.split("/")
        if any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
            raise jinja2.TemplateNotFound(template, f"{template!r} is no path inside the folder")
        for folder in self._folders:
            path = folder.joinpath(*parts)
            if path.is_file():
                return read_template(path, folder), str(path), lambda: True
        raise jinja2.TemplateNotFound(template, f"{template!r} not found in the folders of templates")


def _step() -> None:
    steps = _steps.get()
    if steps is None:
        return
    steps[0] += 1
    if steps[0] > MAX_STEPS:
        raise SecurityError(f"a template may take no more than {MAX_STEPS:,} steps")


@jinja2.pass_context
def _counted(context: Any, values: Iterable[Any]) -> Iterable[Any]:
    """The values of a loop, with each iteration counted."""
    del context
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        return _stepping(values)
    known = list(values)
    steps = _steps.get()
    if steps is not None:
        steps[0] += len(known)
        _step()
    return known


def _stepping(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _step()
        yield value


def _concat(pieces: Iterable[str]) -> str:
    found, chars = [], 0
    for piece in pieces:
        chars += len(piece)
        if chars > MAX_CHARS:
            raise SecurityError(f"a template may make no more than {MAX_CHARS:,} characters")
        found.append(piece)
    return "".join(found)


def _bounded(text: str) -> str:
    return _concat((text,))


def _printable(value: Any) -> Any:
    """The value if a template may print it; a list, for instance, could print as unbounded text."""
    if value is None or isinstance(value, str | bool | int | float | jinja2.Undefined):
        return value
    raise SecurityError(f"a template prints texts and numbers, not a {type(value).__name__}")


def _text(value: Any) -> str:
    return str(_printable(value))


@jinja2.pass_context
def _joined(context: Any, values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        values = [context.environment.getattr(value, attribute) for value in values]
    pieces = [_text(value) for value in values]
    between = _text(separator)
    return _concat(piece for k, text in enumerate(pieces) for piece in ((between, text) if k else (text,)))


@jinja2.pass_context
def _replaced(context: Any, text: str, old: str, new: str) -> str:
    del context
    text, old, new = _text(text), _text(old), _text(new)
    if not old:
        raise SecurityError("a template replaces nothing by something")
    if len(text) + text.count(old) * len(new) > MAX_CHARS:
        raise SecurityError(f"a template may make no more than {MAX_CHARS:,} characters")
    return text.replace(old, new)


def _concatenated(values: Sequence[Any]) -> str:
    return _concat(_text(value) for value in values)


def _without_concat(node: Any) -> Any:
    """The tree with every ``a ~ b`` replaced by a filter of bounded length."""
    for field, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, field, [_without_concat(one) if isinstance(one, nodes.Node) else one for one in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _without_concat(value))
    if isinstance(node, nodes.Concat):
        pieces = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(pieces, "_concatenated", [], [], None, None, lineno=node.lineno)
    return node


def _is_plain(value: Any) -> bool:
    plain = value is None or isinstance(value, str | bool | int | float | list | tuple | dict | Config)
    return plain or (is_dataclass(value) and not isinstance(value, type))


@lru_cache(maxsize=1024)
def _readable(kind: type, name: str) -> Literal["field", "method", "nothing"]:
    """What a template may read of values of a type under a name."""
    if name.startswith("_"):
        return "nothing"
    if kind is LoopContext and name in _LOOP:
        return "method"
    if any(name in own for of, own in _METHODS.items() if issubclass(kind, of)):
        return "method"
    if issubclass(kind, Config):
        known = set(kind.model_fields)
    else:
        known = {one.name for one in fields(kind)} if is_dataclass(kind) else set(getattr(kind, "_fields", ()))
    shown = name in known or (bool(known) and isinstance(getattr(kind, name, None), property))
    return "field" if shown else "nothing"


def shorten(text: str, limit: int) -> str:
    """``text``, cut at a word if it is longer than ``limit`` characters, with dots for the rest."""
    if limit <= 0:
        return ""
    return text if len(text) <= limit else beginning(text, limit).rstrip(" ,;:") + " ..."


_LONGEST_WORD = 40
"""A cut goes back so many characters at most to end at a word: some scripts have no blanks between words."""


def beginning(text: str, limit: int) -> str:
    """The first ``limit`` characters of ``text``, without a word that would be cut in two.

    Example:
        >>> beginning("one two three", 10)
        'one two'
    """
    if len(text) <= limit:
        return text
    start = text[:limit]
    if text[limit].isspace() or start[-1:].isspace():
        return start.rstrip()
    whole, *cut = start.rsplit(None, 1)
    return whole if cut and len(cut[0]) <= _LONGEST_WORD else start
