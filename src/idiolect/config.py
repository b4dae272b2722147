"""YAML and command-line options to checked values. Config classes are defined next to what they configure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.sqlite import is_sqlite


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys refused, a docstring under each field."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, data: Any) -> Any:
        """Read ``a,b`` as a list if a list is wanted: a shell's user writes no brackets."""
        if not isinstance(data, Mapping):
            return data
        lists = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        return {
            name: [part.strip() for part in value.split(",")] if name in lists and isinstance(value, str) else value
            for name, value in data.items()
        }


C = TypeVar("C", bound=Config)
_LONGEST_SHOWN = 200
"""Characters of a wrong value that a message shows."""


class _EachOnce(yaml.SafeLoader):
    """Refuses duplicate names in a mapping, of which YAML would silently drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See ``yaml.SafeLoader``."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str, *, where: str) -> Any:
    """The value that YAML text says.

    Raises:
        ConfigError: It is not YAML, holds a date or number that is none, or is nested too deeply.
    """
    try:
        return yaml.load(text, _EachOnce)
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply", hint="settings are nested a few levels") from error
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{where} is not YAML: {said}", hint="quote what is no number, list or mapping") from error


def recipes() -> Path:
    """The folder of the shipped recipes: in an installed package, or in the repository."""
    package = Path(str(resources.files("idiolect")))
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parents[1] / "recipes"


def _shipped(path: Path) -> Path:
    """The shipped recipe for ``recipes/NAME.yaml``, unless there is such a file where the user is."""
    if path.parts[:1] == ("recipes",) and ".." not in path.parts and not path.exists():
        found = recipes().joinpath(*path.parts[1:])
        return found if found.is_file() else path
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. ``recipes/NAME.yaml`` is the shipped recipe if there is no such file.

    Raises:
        ConfigError: No such file, not YAML, or not a mapping.
    """
    if is_sqlite(path):  # perhaps a store, which nothing but SQLite may open
        raise ConfigError(f"{str(path)!r} is an SQLite database, not a configuration", hint="name a YAML file")
    try:
        text = _shipped(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # not UTF-8, or a NUL character in the name
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot read configuration {str(path)!r}: {said}", hint="name a YAML file") from error
    data = parse_yaml(text, where=repr(str(path)))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{str(path)!r} holds a {type(data).__name__}, not a mapping of settings")
    return data


MAX_JSON_BYTES = 4 * 2**20
MAX_JSON_DEPTH = 32


def parse_json(text: str | bytes, *, max_depth: int = MAX_JSON_DEPTH) -> Any:
    """JSON that is not trusted, with a limit on its nesting.

    Args:
        text: What to parse.
        max_depth: Deepest nesting of objects and lists that is read.

    Raises:
        ValueError: It is not JSON, nested deeper than ``max_depth``, or holds one key twice with different values.

    Example:
        >>> parse_json('{"k": 8}')
        {'k': 8}
    """
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {max_depth} levels") from None
    level = [value]
    for _ in range(max_depth + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {max_depth} levels")


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES, max_depth: int = MAX_JSON_DEPTH) -> Any:
    """The JSON in a file that is not trusted, with limits on its size and nesting.

    Args:
        path: The file; read up to ``max_bytes`` and no further.
        max_bytes: Largest file that is read, in bytes.
        max_depth: See ``parse_json``.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too large, not UTF-8, not JSON, or nested too deeply.
    """
    if is_sqlite(path):
        raise ValueError("it is an SQLite database")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes:,} bytes")
    return parse_json(content.decode("utf-8"), max_depth=max_depth)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    for key, value in pairs if len(found) < len(pairs) else ():
        if found[key] != value:
            raise ValueError(f"it holds the key {key[:_LONGEST_SHOWN]!r} twice")
    return found


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on top, mapping by mapping; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def build(cls: type[C], data: Mapping[str, Any], *, where: str = "configuration") -> C:
    """``data`` as a checked ``cls``.

    Raises:
        ConfigError: Naming the first setting that is wrong, with the nearest known name for an unknown one.
    """
    try:
        return cls.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _fields_at(cls, first["loc"][:-1])
            raise ConfigError(
                f"{where}: unknown setting {name!r}", hint=suggest(str(first["loc"][-1]), known)
            ) from error
        place = f"{where}: {name}" if name else where
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{place}: {said} (got {_shown(first['input'])})") from error


def _shown(value: object) -> str:
    """A value for a message, no longer than a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number too long to be written out
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def load(
    cls: type[C],
    path: Path | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> C:
    """A ``cls`` from a YAML file (None: defaults only) with overrides (flags) laid on top.

    Args:
        cls: The configuration.
        path: The file.
        overrides: What goes before the file.
        base: What the file goes before, where a nested default is more than its class' own.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown or wrong.
    """
    data = merge(base or {}, read_yaml(path) if path else {})
    return build(cls, merge(data, overrides or {}), where=str(path) if path else "flags")


def _fields_at(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The settings known at a place: through optional, listed, keyed and alternative configurations too."""
    models = [cls]
    for part in loc:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:  # else the part is a list's index, a mapping's key or the name of an alternative
            models = [model for field in fields for model in _models_in(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
