"""YAML and command-line options to checked values. Config classes are defined next to what they configure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.sqlite import is_sqlite


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys refused, a docstring under each field."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    retired: ClassVar[Mapping[str, Any]] = {}
    """Settings of earlier versions that are constants now, with their values: files and adapters that name them keep
    opening as long as they name that value (see ``without_retired``). A ``Retired`` also says what to do instead."""

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


class Retired(NamedTuple):
    """A setting of earlier versions that another setting replaces."""

    value: Any
    """What may still be said: it is the default."""
    instead: str
    """What to do."""


ANY_VALUE = object()
"""The value of a retired setting that any value may be given for, because nothing depends on it any more."""

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


def without_retired(
    cls: type[BaseModel], data: Mapping[str, Any], *, where: str = "configuration", prefix: str = ""
) -> dict[str, Any]:
    """``data`` without the settings of earlier versions that are constants now.

    Args:
        cls: What ``data`` is for; the classes of its fields are searched as well.
        data: Settings that a file, a record or a user gives; not changed.
        where: What holds them, for messages.
        prefix: Place of ``data`` in it, with a dot at the end.

    Raises:
        ConfigError: A retired setting has another value than the constant.
    """
    kept: dict[str, Any] = {}
    retired: Mapping[str, Any] = getattr(cls, "retired", {})
    for name, value in data.items():
        if name in retired and name not in cls.model_fields:
            _check_retired(value, retired[name], f"{where}: {prefix}{name}")
            continue
        field = cls.model_fields.get(name)
        models = _models_in(field.annotation) if field is not None and isinstance(value, Mapping) else []
        kept[name] = without_retired(models[0], value, where=where, prefix=f"{prefix}{name}.") if models else value
    return kept


def _check_retired(value: Any, constant: Any, place: str) -> None:
    if constant is ANY_VALUE:
        return
    constant, instead = constant if isinstance(constant, Retired) else (constant, "leave it out")
    if not _agrees(value, constant):
        raise ConfigError(
            f"{place} is no longer a setting: it is always {json.dumps(constant)} (got {_shown(value)})", hint=instead
        )


def _agrees(value: Any, constant: Any) -> bool:
    """Whether a given value is the constant; of a group of settings, those that are given."""
    if isinstance(constant, Mapping):
        return isinstance(value, Mapping) and all(
            name in constant and _agrees(inner, constant[name]) for name, inner in value.items()
        )
    if isinstance(constant, list | tuple):
        return isinstance(value, list | tuple) and list(value) == list(constant)
    return bool(value == constant)


def upgraded(cls: type[Config], recorded: Any, *, exclude: Any = None) -> Any:
    """A configuration on record as this version would record it, so that it can be compared with today's.

    Settings that were added since have their defaults, and settings that are constants now are left out.

    Args:
        cls: Its class.
        recorded: As JSON; returned unchanged if it is no configuration of this class.
        exclude: Settings that the record leaves out, as ``model_dump`` takes them.

    Example:
        >>> class Steps(Config):
        ...     n: int = 5
        ...     seed: int = 0
        >>> upgraded(Steps, {"n": 6}), upgraded(Steps, None)
        ({'n': 6, 'seed': 0}, None)
    """
    if not isinstance(recorded, Mapping):
        return recorded
    try:
        return build(cls, recorded).model_dump(mode="json", exclude=exclude)
    except ConfigError:
        return recorded


def build(cls: type[C], data: Mapping[str, Any], *, where: str = "configuration") -> C:
    """``data`` as a checked ``cls``.

    Raises:
        ConfigError: Naming the first setting that is wrong, with the nearest known name for an unknown one.
    """
    data = without_retired(cls, data, where=where)
    try:
        return cls.model_validate(data)
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
    return build(cls, merge(data, overrides or {}), where=str(path) if path else "settings")


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
