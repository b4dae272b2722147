"""Fit and evaluate as a command line or a short program calls them: by paths and settings.

A store to a small backbone, on text that no adapter is fitted or tested on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.config import build, load, merge, read_yaml
from idiolect.data.kcore import review_frame
from idiolect.data.output_files import check_apart, check_output, cleaning_up, real_path
from idiolect.data.split import Split
from idiolect.difference.stylometry.annotations import MeasuredAnnotations
from idiolect.encoders import ENCODERS, load_encoder
from idiolect.engine import LOCAL, Engine, EngineName
from idiolect.errors import ConfigError, require
from idiolect.llm.base import LLM
from idiolect.llm.cache import is_cache
from idiolect.llm.loading import open_llm
from idiolect.llm.registry import ENDPOINTS, BackboneConfig, backend_of, require_packages
from idiolect.pipeline.adapters import SETTINGS, contribution, digest_of, read_record, recorded_as
from idiolect.pipeline.data import Data
from idiolect.pipeline.pretraining import pretraining_reviews
from idiolect.pipeline.settings import Settings
from idiolect.processes import launched, on_main, process_group
from idiolect.prompts import tasks
from idiolect.sandbox.annotations import PlantedAnnotations
from idiolect.sandbox.world import Truth
from idiolect.store.engine import store_file
from idiolect.store.outputs import check_folder, claim_folder
from idiolect.store.snapshot_files import unfinished_folder
from idiolect.store.sql import SqlStore
from idiolect.training.config import PretrainConfig, PretrainReport
from idiolect.types import ItemId

if TYPE_CHECKING:
    from idiolect.training.fit import FitReport


_log = logging.getLogger(__name__)

_CACHE = "idiolect-cache.db"
_FREE = {
    *(
        "sampling",
        "metrics",
        "authorship",
        "text_judge",
        "resamples",
        "targets",
        "seed",
        "cache",
        "methods",
        "differences",
    ),
    *("negative_controls", "extra_controls", "token_classes", "uniqueness_groups"),
}
_OF_FITTING = ("fit", "controls")
"""What an adapter was fitted with and nothing else reads: taken from the adapter, not from a file."""
_SHIPPED_MODELS = ("sandbox", "fake")
_FREE_OF_BACKBONE = {"backend", "device", "dtype", "batch_size", "prompt_embeds"}
"""What may change under a fitted adapter; everything else is part of what it was fitted with."""


def load_settings(
    adapter: Path | None = None,
    *,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    store: SqlStore | None = None,
) -> Settings:
    """Defaults, below a YAML file or the settings that an adapter contributes, below flags.

    Args:
        adapter: Folder of a fitted adapter; None: none is used. See ``adapters.contribution`` for what it contributes.
        config: YAML file of settings; it goes before the adapter, but for how that was fitted.
        changes: Settings that go before the file and the adapter.
        backbone: Folder or hub name of the model.
        encoder: Name of the encoder.
        store: Its own adapters' settings are taken completely; None: the adapter is not trusted.

    Raises:
        NotFoundError: There is no fitted adapter in ``adapter``.
        ConfigError: A setting is unknown or wrong, or would use an adapter with what it was not fitted with.
    """
    flags: dict[str, Any] = dict(changes or {})
    if backbone is not None:
        flags = merge(flags, {"backbone": {"model": backbone}})
    if encoder is not None:
        flags = merge(flags, {"encoder": encoder})
    if adapter is None:
        return _located(load(Settings, config, flags))
    if config is not None:
        given = {key: value for key, value in read_yaml(config).items() if key not in _OF_FITTING}
        build(Settings, given, where=str(config))  # so that a slip is found where it is
        flags = merge(given, flags)
    record = read_record(adapter)
    own = store is not None and recorded_as(record.digest) in store.outputs().values()
    found = contribution(adapter, record, flags, own=own)
    if ignored := [place for place in found.ignored if not _named(flags, place)]:
        _log.warning(
            "not taken from the adapter in %r, which this store did not fit: %s; name them in settings= if needed",
            str(adapter),
            ", ".join(ignored),
        )
    fitted = build(Settings, found.settings, where=str(adapter))
    settings = _located(build(Settings, merge(found.settings, flags), where="settings"))
    _check_free(_located(fitted), settings)
    return settings


def _named(flags: Mapping[str, Any], place: str) -> bool:
    value: Any = flags
    for part in place.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def record_fit(store: SqlStore, folder: Path) -> None:
    """Have the store know a finished adapter as its own: its settings may then name paths, endpoints and modules."""
    store.record_output(folder, recorded_as(digest_of((folder / SETTINGS).read_bytes())))


def _located(settings: Settings) -> Settings:
    """Paths in full, so that a record of them holds from anywhere; names that are no folder's as they are."""

    def absolute(name: str) -> str:
        shipped = name in ENCODERS or name in _SHIPPED_MODELS  # a folder of such a name here is not meant
        return str(Path(name).resolve()) if not shipped and Path(name).is_dir() else name

    def resolved(path: Path | None) -> Path | None:
        return None if path is None else path.resolve()

    def placed(backbone: BackboneConfig) -> BackboneConfig:
        return backbone.model_copy(update={"model": absolute(backbone.model)})

    roles = {
        name: role.model_copy(update={"backbone": placed(role.backbone)})
        for name, role in settings.differences.asked.items()
        if role.backbone is not None
    }
    task = settings.prompt.task
    task = task if task in tasks.NAMES else str(Path(task).resolve())
    return settings.model_copy(
        update={
            "backbone": placed(settings.backbone),
            "differences": settings.differences.model_copy(update=roles),
            "encoder": absolute(settings.encoder),
            "prompt": settings.prompt.model_copy(
                update={
                    "templates": resolved(settings.prompt.templates),
                    "task": task,
                }
            ),
            "cache": settings.cache if settings.cache == "auto" else resolved(settings.cache),
        }
    )


def _check_free(own: Settings, wanted: Settings) -> None:
    old, new = own.model_dump(), wanted.model_dump()
    changed = {key for key in old if old[key] != new[key] and key not in {*_FREE, "backbone"}}
    inside = {key for key in old["backbone"] if old["backbone"][key] != new["backbone"][key]} - _FREE_OF_BACKBONE
    fixed = sorted(changed | {f"backbone.{key}" for key in inside})
    if fixed:
        raise ConfigError(f"the adapter was fitted with another {', '.join(fixed)}", hint="fit again to change it")


def require_weights(backbone: BackboneConfig) -> None:
    """Refuse what no adapter can be fitted to, before torch is imported."""
    backend = backend_of(backbone)
    if backend != "transformers":
        raise ConfigError(
            f"an adapter is fitted through a model's weights; the backend {backend!r} has none to offer",
            hint="name a folder or a hub model with model=",
        )
    require_packages(backend)


def cache_path(settings: Settings, store: str) -> Path | None:
    """Where answers are recorded; None: nowhere. If the store is not a file, ``auto`` means the current folder.

    Raises:
        OutputError: The file is the store, or holds something else than recorded answers.
    """
    file, cache = store_file(store), settings.cache
    if cache == "auto":
        if "openai" not in map(backend_of, settings.backbones):
            return None
        cache = Path(_CACHE) if file is None else file.with_name(_CACHE)
    what = "a file of recorded answers"
    if cache is not None and not is_cache(check_apart(cache, (file,), what=what)):
        check_output(cache, ours=lambda _: False, what=what)
    return cache


def check_shareable(settings: Settings, engine: EngineName = "local") -> None:
    """Refuse models that several processes under a launcher cannot share: each process would ask them anew.

    Raises:
        ConfigError: A model is not in the processes themselves, or is to run on Ray.
    """
    if launched() == 1:
        return
    if engine != "local":
        raise ConfigError("the work is shared by torchrun or by Ray, not by both", hint="start it without torchrun")
    other = [backend for backend in map(backend_of, settings.backbones) if backend not in ("transformers", "fake")]
    if other:
        raise ConfigError(f"the backend {other[0]!r} is not shared over processes", hint="start it without torchrun")


def models_here(settings: Settings) -> list[BackboneConfig]:
    """The models of a run that are loaded here or by workers, each once."""
    found = {repr(one): one for one in settings.backbones if backend_of(one) not in ENDPOINTS}
    return list(found.values())


@contextmanager
def open_model(settings: Settings, store: str, *, engine: Engine = LOCAL, progress: bool = False) -> Iterator[LLM]:
    """The run's language model, behind the record of its answers where there is to be one."""
    cache = cache_path(settings, store)
    with open_llm(settings.backbone, cache=cache, engine=engine, progress=progress) as llm:
        yield llm


def run_fit(
    store: str,
    split: Path,
    folder: Path,
    *,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    initial: Path | None = None,
    resume: bool = True,
    progress: bool = False,
    before: Callable[[Data], None] | None = None,
) -> dict[str, FitReport]:
    """Fit an adapter (and its trained controls) on a split of a store.

    Under ``torchrun`` each process fits its share of every batch, and the first one alone writes. With
    ``initial`` training continues from another fit's adapters. ``before`` is called before the model is loaded.

    Raises:
        ConfigError: A setting is wrong, the backend has no weights to train against, or ``folder`` holds other files.
        IdiolectError: Any other of its kinds; nothing that was finished is lost.
    """
    settings = load_settings(config=config, changes=changes, backbone=backbone, encoder=encoder)
    require_weights(settings.backbone)
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.pipeline.fit import fit

    on_cpu = settings.backbone.device == "cpu"
    with process_group(on_cpu=on_cpu), SqlStore(store, create=False) as database:
        check_folder(database, store, folder, "fit", apart=(split, initial))
        data = Data(database, split, settings, encoder=load_encoder(settings.encoder), once=on_main)
        on_main(lambda: claim_folder(database, store, folder, "fit"))
        if before is not None:
            before(data)
        llm = TransformersLLM.load(settings.backbone, progress=progress, sharded=settings.fit.sharded)
        reports = fit(data, llm, folder=folder, initial=initial, resume=resume, progress=progress)
        on_main(lambda: record_fit(database, folder))
        return reports


def pretrain_backbone(
    store: str,
    folder: Path,
    *,
    split: Path | None = None,
    truth: Path | None = None,
    annotate: bool = False,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> PretrainReport:
    """Pretrain on all of a store's reviews but a split's train, validation and test targets.

    With the ground truth of a sandbox world, or with ``annotate`` from the measures of style, the formats that describe
    how a user writes are read too, and words stand in the place of virtual tokens.

    Raises:
        NotFoundError: There is no store.
        ArtifactError: The split is of another state of the store, or ``truth`` holds none.
        ConfigError: A setting is wrong, ``folder`` holds a backbone of another recipe, or both ``truth`` and
            ``annotate`` are given.
    """
    settings = load(PretrainConfig, config, changes)
    if truth and annotate:
        raise ConfigError("truth and annotate both describe the users", hint="give one of them")
    require("torch", extra="train")
    from idiolect.training.pretrain import pretrain

    with SqlStore(store, create=False) as database:
        check_folder(
            database,
            store,
            folder,
            "backbone",
            apart=(split, truth, None if settings.initial is None else Path(settings.initial)),
        )
        made = None if split is None else Split.load(split, fingerprint=database.fingerprint())
        targets = made.counts.members - made.counts.profile if made else 0
        claim_folder(database, store, folder, "backbone")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with cleaning_up(), unfinished_folder(real_path(folder)) as work:
            reviews = pretraining_reviews(database, made, settings.max_reviews, settings.seed, work=work)
        items = database.items(sorted({ItemId(review.item) for review in reviews}))
        provenance = {"store": database.fingerprint(), "reviews": len(reviews), "targets": targets}
        annotations = PlantedAnnotations(Truth.load(truth)) if truth else None
        if annotate:
            annotations = MeasuredAnnotations(review_frame(reviews))
        return pretrain(
            reviews,
            items,
            config=settings,
            folder=folder,
            annotations=annotations,
            provenance=provenance,
            progress=progress,
        )
