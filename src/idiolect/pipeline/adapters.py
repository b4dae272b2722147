"""A fitted adapter's folder: the settings it contributes, and the check that it is used as it was fitted; no torch.

The folder is not trusted. It contributes numbers, and names of what ships with this package.
Endpoints, key names, modules, paths, the cache and roles come from the person who runs the command, or from an adapter
that this store recorded as its own output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.config import parse_json, without_retired
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.methods.base import METHODS
from idiolect.metrics.fidelity import FIDELITY
from idiolect.metrics.registry import METRICS, VARIANTS
from idiolect.peers import SELECTORS
from idiolect.pipeline.settings import Settings
from idiolect.prompts import tasks
from idiolect.retrieval import RETRIEVERS

SETTINGS = "settings.json"
"""File in an adapter's folder: what it was fitted with."""
SANDBOX_ADAPTER = Path(__file__).parents[1] / "sandbox" / "adapter"
"""The adapter that ships with the package, for the shipped backbone and encoder; its README.md says how it was
fitted."""
CONSTANT = "constant"
"""Folder of the trained constant inside the adapter's; other controls are named as in ``variants``, too."""
MAX_BYTES = 2**20
"""Largest ``settings.json`` that is read."""

_FIXED = ("encoder", "backbone", "store", "split")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHIPPED_ENCODER = re.compile(r"minilm|style|hash(:\d{1,5})?")
_SHIPPED_MODELS = ("sandbox", "fake")
LONGEST_NAME = 200
"""Characters of a recorded name, and entries of a list."""

_SCALAR, _SCALARS, _NAMES = "scalar", "scalars", "names"


def _scalars(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, _SCALAR)


_CONTRIBUTED: Mapping[str, Any] = {
    **_scalars("peers", "vectors", "adapter_preset", "resamples", "seed"),
    "adapter": _SCALARS,
    "fit": _SCALARS,
    "targets": _SCALARS,
    "sampling": _SCALARS,
    **dict.fromkeys(("methods", "metrics", "controls"), _NAMES),
    "backbone": _scalars("dtype", "max_prompt_tokens", "batch_size"),
    "context": _scalars("k", "min_peers", "peers_before", "peer_weighting", "cold_start"),
    "prompt": _scalars(
        "with_text",
        "streams",
        "layout",
        "max_shown",
        "guidance",
        "description_chars",
        "past_description_chars",
        "history_chars",
    ),
    "differences": {
        "comparison": _scalars("anchors", "representatives"),
        "stages": {
            **_scalars("compare", "use_validation", "use_checks", "differences_as", "profile_chars"),
            "adaptive": _SCALARS,
        },
    },
}
"""What an adapter from elsewhere contributes: numbers, and names that the settings themselves restrict to a list. What
is not here it does not contribute, names of what ships with the package excepted (``_names``)."""

_MOST = {
    "sampling.max_new_tokens": 32_768,
    "backbone.max_prompt_tokens": 1_000_000,
    "backbone.batch_size": 4096,
    "context.k": 10_000,
    "resamples": 100_000,
}
"""Largest values that are taken from an adapter from elsewhere; larger ones could exhaust the machine."""


class Record(NamedTuple):
    """The record of ``fit`` in an adapter's folder."""

    settings: dict[str, Any]
    """As they were written; not checked."""
    names: Mapping[str, str]
    """Encoder, backbone, store and split by name or digest, the digest of the templates, and the store's file name
    (``corpus``; empty if an earlier version fitted it)."""
    digest: str
    """32 hex digits of the file."""


def read_record(folder: Path) -> Record:
    """The record of ``fit`` in an adapter's folder.

    Raises:
        NotFoundError: No adapter was fitted there.
        ArtifactError: The record is damaged, too large or too deep.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise NotFoundError(f"no fitted adapter in {str(folder)!r}", hint="name the folder that idiolect fit wrote")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        record = parse_json(content.decode("utf-8"))
        names = {key: _recorded(record[key]) for key in _FIXED}
        names |= {key: _recorded(record.get(key, "")) for key in ("templates", "corpus")}
        settings = record["settings"]
        if not isinstance(settings, dict):
            raise TypeError("its settings are no mapping")
        return Record(settings, names, digest_of(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="fit the adapter again") from error


def digest_of(content: bytes) -> str:
    """32 hex digits of a ``settings.json``: the store records it, to know its own adapters again."""
    return blake2b(content, digest_size=16).hexdigest()


def recorded_as(digest: str) -> str:
    """The kind under which a store records a finished adapter among its outputs."""
    return f"fit {digest}"


def _recorded(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise TypeError("a recorded name is no short text")
    return value


class Contribution(NamedTuple):
    """The settings that an adapter brings to a run."""

    settings: dict[str, Any]
    ignored: tuple[str, ...]
    """Settings that it has and that are not taken from it."""


def contribution(folder: Path, record: Record, given: Mapping[str, Any], *, own: bool) -> Contribution:
    """The settings that an adapter brings to a run.

    Args:
        folder: The adapter's, for messages.
        record: From ``read_record``.
        given: Settings that the person named, nested as in ``Settings``.
        own: This store recorded the adapter as its own output: everything is taken. Otherwise numbers are taken, and
            names of what ships with the package.

    Raises:
        ArtifactError: A setting is unknown, or no number or name.
        ConfigError: The adapter was fitted with something that only the person may name, and they did not.
    """
    where = f"the adapter in {str(folder)!r}"
    recorded = without_retired(Settings, record.settings, where=where)
    base: dict[str, Any] = _copied(recorded) if own else {}
    ignored = () if own else tuple(_take(recorded, _CONTRIBUTED, _defaults(), base, where, ""))
    unnamed: dict[str, str] = {}
    # The digest of the words of prompts is then the task's, which is named as such, and compared once it is read.
    own_task = _at(recorded, "prompt.task") not in (None, *tasks.NAMES)
    for place, shipped, option in _names():
        value, named = _at(recorded, place), _at(given, place)
        if place == "prompt.templates" and value is None and not own_task:
            value = record.names["templates"] or None
        if value is None:
            continue
        if named is not None and not shipped(value):
            # Encoder, model and templates are compared by name and digest once they are loaded.
            _put(base, place, value if place == "context.retriever" else named)
        elif own or shipped(value):
            _put(base, place, value)
        else:
            unnamed[f"{place} {_shown(value)}"] = option
    if unnamed:
        raise ConfigError(
            f"{where} was fitted with the {' and the '.join(unnamed)}, which an adapter from elsewhere cannot choose",
            hint=f"name it yourself if you trust it: {', '.join(unnamed.values())}",
        )
    if not own and (revision := _at(given, "backbone.revision")) is not None:
        _put(base, "backbone.revision", revision)
    named_here = {place for place, *_ in _names()}
    return Contribution(base, tuple(place for place in ignored if place not in named_here))


def _names() -> Iterator[tuple[str, Any, str]]:
    """Settings that name something to load: their place, whether a value ships with the package, how to give it."""

    def text(known: Any) -> Any:
        return lambda value: isinstance(value, str) and known(value)

    yield "encoder", text(_SHIPPED_ENCODER.fullmatch), "encoder=NAME"
    yield "backbone.model", text(_SHIPPED_MODELS.__contains__), "model=MODEL"
    yield "context.retriever", text(RETRIEVERS.__contains__), "context.retriever=NAME"
    place = "context.retriever_encoder"
    yield place, text(_SHIPPED_ENCODER.fullmatch), f"{place}=NAME"
    yield "adapter_method", text(METHODS.__contains__), "adapter_method=NAME"
    yield "prompt.task", text(tasks.NAMES.__contains__), "prompt.task=NAME"
    yield "prompt.templates", lambda _: False, "prompt.templates=FOLDER"
    for name, table in (("retriever", RETRIEVERS), ("selector", SELECTORS)):
        place = f"differences.comparison.{name}"
        yield place, text(table.__contains__), f"{place}=NAME"


def _take(
    value: Mapping[str, Any], allowed: Mapping[str, Any], usual: Any, taken: dict[str, Any], where: str, prefix: str
) -> Iterator[str]:
    """Copy what is allowed to ``taken``; the places of the rest, without those that hold the default."""
    for key, inner in value.items():
        place, rule = f"{prefix}{key}", allowed.get(key)
        if not isinstance(usual, Mapping) or key not in usual:
            raise ArtifactError(f"{where} has the unknown setting {_shown(place)}", hint="fit the adapter again")
        if isinstance(rule, Mapping) and isinstance(inner, Mapping):
            yield from _take(inner, rule, usual[key], taken.setdefault(key, {}), where, f"{place}.")
        elif rule is None:
            if inner != usual[key]:
                yield place
        elif rule == _NAMES:
            names = _list_of_names(inner, place, where)
            taken[key] = [name for name in names if name in _known(key)]
            if len(names) != len(taken[key]):
                yield place
        elif rule == _SCALARS and isinstance(inner, Mapping):
            taken[key] = {_name(k, place, where): _scalar(v, f"{place}.{k}", where) for k, v in inner.items()}
        else:
            taken[key] = _scalar(inner, place, where)


def _defaults() -> dict[str, Any]:
    return Settings().model_dump(mode="json")


def _known(key: str) -> tuple[str, ...]:
    from idiolect.methods.controls import TRAINED_CONTROLS

    tables = {"methods": tuple(METHODS), "metrics": (*METRICS, *VARIANTS, FIDELITY.name)}
    return tables.get(key, tuple(TRAINED_CONTROLS))


def _list_of_names(value: Any, place: str, where: str) -> list[str]:
    if not isinstance(value, list) or len(value) > LONGEST_NAME or not all(isinstance(one, str) for one in value):
        raise ArtifactError(f"{where} has no list of names under {place}", hint="fit the adapter again")
    return value


def _name(value: str, place: str, where: str) -> str:
    if not _NAME.fullmatch(value):
        raise ArtifactError(f"{where} has an unknown setting under {place}", hint="fit the adapter again")
    return value


def _scalar(value: Any, place: str, where: str) -> Any:
    """The value, if it is a number within bounds, a truth value, a plain name or nothing."""
    most = _MOST.get(place, 2**63 - 1 if place.endswith("seed") else 2**31 - 1)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and 0 <= value <= most:  # not so of nan
        return value
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ArtifactError(
        f"{where} has {_shown(value)} under {_shown(place)}, which is no number from 0 to {most} and no plain name",
        hint="fit the adapter again",
    )


def _copied(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(inner) if isinstance(inner, Mapping) else inner for key, inner in value.items()}


def _at(settings: Mapping[str, Any], place: str) -> Any:
    value: Any = settings
    for part in place.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(settings: dict[str, Any], place: str, value: Any) -> None:
    *parents, last = place.split(".")
    for part in parents:
        inner = settings.get(part)
        settings[part] = inner if isinstance(inner, dict) else {}
        settings = settings[part]
    settings[last] = value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_adapter(
    folder: Path,
    *,
    encoder: str,
    backbone: str,
    templates: str = "",
    store: str | None = None,
    split: str | None = None,
) -> None:
    """Refuse an adapter under what it was not fitted with, or on a re-made split of its store.

    On another split of the same store its training targets may be tested on; another store is fair.

    Args:
        folder: The adapter's.
        encoder: Name of the encoder in use.
        backbone: Name of the model in use.
        templates: Digest of one's own templates in use (``prompts.files.digest``); empty: the shipped ones.
        store: Fingerprint of the store that is read; None: a live one.
        split: Digest of the split's members; None: no split is used.

    Raises:
        NotFoundError: No adapter was fitted in ``folder``.
        ArtifactError: It does not fit.
    """
    record = read_record(folder).names
    for what, now in (("encoder", encoder), ("backbone", backbone)):
        if not _same(record[what], now):
            raise ArtifactError(
                f"the adapter in {str(folder)!r} was fitted with the {what} {record[what]!r}, not {now!r}",
                hint="use it with what it was fitted with, or fit again",
            )
    if record["templates"] != templates:
        raise ArtifactError(
            f"the adapter in {str(folder)!r} was fitted with other templates than these",
            hint="undo the changes in the folder prompt.templates, or fit again",
        )
    if store == record["store"] and split is not None and split != record["split"]:
        raise ArtifactError(
            f"the adapter in {str(folder)!r} was fitted on another split of this store", hint="fit it on this split"
        )


class Corpora(NamedTuple):
    """Names of two corpora."""

    fitted: str
    """That the adapter was fitted on."""
    used: str
    """That it is used on."""


def other_corpus(folder: Path, *, store: str, label: str) -> Corpora | None:
    """The names of both corpora, if an adapter was fitted on another one than it is used on.

    Args:
        folder: The adapter's.
        store: Fingerprint of the store that is read.
        label: Its name.
    """
    names = read_record(folder).names
    if names["store"] == store:
        return None
    fitted = names["corpus"] or (f"the store {names['store'][:12]}" if names["store"] else "its authors' data")
    return Corpora(f"{fitted} in an earlier state" if fitted == label else fitted, label)


def _same(recorded: str, now: str) -> bool:
    """Whether two names are of the same weights: the folder of a model may be renamed, its digest stays."""
    (_, at, digest), (_, at_now, digest_now) = recorded.rpartition("@"), now.rpartition("@")
    return recorded == now or bool(at and at_now and digest == digest_now and re.fullmatch("[0-9a-f]{12}", digest))
