"""One class per method: choose a model, fit where the method is trained, write as a user would."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from idiolect.api.store import Split, Store, check_split
from idiolect.config import load, merge
from idiolect.data.output_files import atomic_write
from idiolect.errors import ConfigError, NotFoundError
from idiolect.methods.base import ADAPTER_METHOD
from idiolect.pipeline.adapters import SETTINGS, read_record
from idiolect.pipeline.settings import Settings
from idiolect.pipeline.write import LoadedModels, Written, write_review

if TYPE_CHECKING:
    from idiolect.explain.units import LatentReport
    from idiolect.training.fit import FitReport

_WEIGHTS = "adapter.safetensors"


class Personalizer:
    """Base of the methods: a language model that writes as a user would.

    Models stay loaded between calls of ``write``; ``close`` (or a ``with`` block) frees them.

    Example:
        >>> import idiolect as idl
        >>> idl.RAG("fake").write(idl.Store("people.db"), user="ann", item="tea").text  # doctest: +SKIP
    """

    name: ClassVar[str] = ""
    """What settings, tables and files call the method."""

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        encoder: str | Path | None = None,
        endpoint: Mapping[str, Any] | None = None,
        k: int | None = None,
        config: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Choose the model and how it is used; nothing is loaded yet.

        Args:
            model: Hugging Face name or folder of the language model; None: the small model that ships with the package,
                which knows made-up reviews only.
            encoder: ``minilm``, ``style``, ``hash``, or a sentence-transformers name or folder; None: ``minilm``.
            endpoint: Instead of ``model``, an OpenAI-compatible endpoint: ``{"model": ..., "base_url": ...}``.
            k: Past reviews in the prompt; None: the default.
            config: YAML file of settings (docs/settings.md).
            settings: Settings as a nested mapping, laid on the file: ``{"sampling": {"temperature": 0}}``.

        Raises:
            ConfigError: A setting is unknown or wrong, or both ``model`` and ``endpoint`` are given.
        """
        if model is not None and endpoint is not None:
            raise ConfigError("model and endpoint are two models", hint="pass one of the two")
        self.model = None if model is None else str(model)
        self.encoder = None if encoder is None else str(encoder)
        self.config = None if config is None else Path(config)
        changes: dict[str, Any] = {}
        if endpoint is not None:
            changes = merge(changes, {"backbone": {"endpoint": dict(endpoint)}})
        if k is not None:
            changes = merge(changes, {"context": {"k": k}})
        self.settings = merge(merge(changes, settings or {}), self._of_method())
        load(Settings, self.config, self.settings)  # a wrong one is refused here, not once models are loaded
        self._resources = LoadedModels()

    def _of_method(self) -> dict[str, Any]:
        """Settings that the class decides."""
        return {}

    def _fitted(self) -> Path | None:
        """The adapter that writes; None if the method has none."""
        return None

    def __repr__(self) -> str:
        model = self.known_model or (self.settings.get("backbone", {}).get("endpoint") or {}).get("model") or "sandbox"
        return f"{type(self).__name__}({model!r})"

    @property
    def known_model(self) -> str | None:
        """The model that was named, or that the adapter was fitted to; None for the default, or an endpoint."""
        return self.model

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the models; the next call loads them again."""
        self._resources.close()

    @property
    def adapter(self) -> Path | None:
        """Folder of the fitted adapter; None if there is none."""
        return None

    def write(
        self,
        store: Store | str | Path,
        *,
        user: str,
        item: str,
        rating: float | str | None = None,
        title: str = "",
        include_own_review: bool = False,
        units: Mapping[int, float] | None = None,
    ) -> Written:
        """Write one review as the user would, from everything the store knows now.

        Args:
            store: The reviews.
            user: Whose voice.
            item: What about.
            rating: The rating to write to, 0 to 100, or a text such as ``4/5``, which is read as in files.
            title: The title to write to.
            include_own_review: Show the model what the user already wrote about this item, if they did.
            units: Of DEP: factors of units of its sparse code (``DEP.inspect``); 0 mutes a unit, 2 doubles it.

        Returns:
            The text, with everything it was written from.

        Raises:
            NotFoundError: No such store, user, item or model.
            ConfigError: There is no such unit, or the method has none; or it needs an adapter and was not fitted.
            EndpointError: The model gave no answer.
        """
        place = store if isinstance(store, Store) else Store(store)
        fitted = self._fitted()
        return write_review(
            place.path,
            user=user,
            item=item,
            rating=rating,
            title=title,
            method=self.name,
            adapter=fitted,
            backbone=self.model,
            encoder=self.encoder,
            config=None if fitted else self.config,
            changes=self.settings,
            pseudonyms=place.pseudonyms,
            include_own_review=include_own_review,
            units=units,
            resources=self._resources,
        )


class NonPersonalized(Personalizer):
    """Non-Perso: the item, the rating and the title; nothing of the user (DEP paper, section 4.1)."""

    name = "nonpersonalized"


class RAG(Personalizer):
    """The user's own past reviews in the prompt (DEP paper, section 4.1)."""

    name = "rag"


class PAG(Personalizer):
    """A summary of the user's history in addition to the retrieved reviews (arXiv 2310.20081)."""

    name = "pag"


class DPL(Personalizer):
    """Differences to representative peers along three fixed dimensions, summarized (arXiv 2503.02450)."""

    name = "dpl"


class DRP(Personalizer):
    """Differences to representative peers along dimensions that are found, validated and summarized (arXiv 2511.15389).

    Without ``settings={"differences": {"extractor": {}, ...}}`` only the writer is a model: differences are measured
    (stylometry), checked by rules and summarized by a template.
    """

    name = "drp"


class FittedPersonalizer(Personalizer):
    """Base of the methods whose soft prompts come from an adapter that is fitted; see ``Personalizer``.

    For a fitted method of your own, subclass it with ``name`` set to the method's registered name.
    """

    def _of_method(self) -> dict[str, Any]:
        return {"adapter_method": self.name}

    _adapter: Path | None = None
    report: FitReport | None = None
    """What the fit measured; None before ``fit``."""

    @property
    def adapter(self) -> Path | None:
        """Folder of the fitted adapter; None before ``fit``."""
        return self._adapter

    @property
    def known_model(self) -> str | None:
        """See ``Personalizer.known_model``."""
        if self.model is not None or self._adapter is None:
            return self.model
        backbone = read_record(self._adapter).settings.get("backbone")
        model = backbone.get("model") if isinstance(backbone, Mapping) else None
        return model if isinstance(model, str) else None

    def fit(
        self,
        split: Split,
        out: str | Path | None = None,
        *,
        initial: str | Path | None = None,
        resume: bool = True,
        progress: bool = False,
    ) -> Self:
        """Fit the adapter on the split's train targets; vectors that are missing are computed first.

        Args:
            split: Of ``Store.split``.
            out: Folder of the adapter, in which an interrupted fit is resumed; None: ``<split>-<method>``.
            initial: Folder of an adapter to continue training from.
            resume: Go on with a fit that was interrupted in ``out``.
            progress: Show bars.

        Raises:
            ConfigError: A setting is wrong, the model has no weights here, or ``out`` holds other files.
        """
        from idiolect.pipeline.commands import load_settings, run_fit
        from idiolect.planning import announce

        check_split(split)
        folder = split.path.with_name(f"{split.path.name}-{self.name}") if out is None else Path(out)
        how = {"config": self.config, "changes": self.settings, "backbone": self.model, "encoder": self.encoder}
        settings = load_settings(**how)
        for name in settings.encoders:
            split.store.embed(name, split=split, peers=settings.peers, progress=progress)
        reports = run_fit(
            split.store.path,
            split.path,
            folder,
            initial=None if initial is None else Path(initial),
            resume=resume,
            progress=progress,
            before=announce("fit", shown=progress),
            **how,
        )
        self._adapter, self.report = folder, reports[self.name]
        return self

    def save_pretrained(self, folder: str | Path) -> Path:
        """Copy the adapter: ``config.json``, ``adapter.safetensors``, ``settings.json``, ``README.md``, controls.

        Raises:
            ConfigError: Nothing was fitted, or ``folder`` holds other files.
        """
        source, target = self._fitted(), Path(folder)
        if target.exists() and target.resolve() == source.resolve():
            return target
        if target.exists() and any(target.iterdir()) and not (target / SETTINGS).is_file():
            raise ConfigError(f"{str(target)!r} holds other files", hint="name a new folder")
        for path in sorted(source.rglob("*")):
            if path.is_file() and (path.name == SETTINGS or _is_artifact(path)):
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(copy, lambda part, path=path: shutil.copyfile(path, part))
        return target

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, model: str | Path | None = None, *, encoder: str | Path | None = None, **how: Any
    ) -> Self:
        """A fitted adapter.

        An adapter is data: from one that was fitted elsewhere, only numbers and names of shipped or hub models are
        taken. ``model`` and ``encoder`` name local folders where it was fitted with such.

        Args:
            folder: What ``save_pretrained`` or ``idiolect fit`` wrote.
            model: The model, where the adapter does not name it.
            encoder: The same for the encoder.
            **how: Further arguments of the class.

        Raises:
            NotFoundError: There is no adapter in the folder.
            ArtifactError: It is damaged.
            ConfigError: It was fitted for another method.
        """
        where = Path(folder)
        fitted = read_record(where).settings.get("adapter_method", ADAPTER_METHOD)
        if fitted != cls.name:
            raise ConfigError(
                f"the adapter in {str(where)!r} was fitted for {str(fitted)[:80]!r}, not {cls.name!r}",
                hint="use that method's class",
            )
        if not (where / _WEIGHTS).is_file():
            raise NotFoundError(f"no weights in {str(where)!r}", hint="name a folder that holds adapter.safetensors")
        made = cls(model, encoder=encoder, **how)
        made._adapter = where
        return made

    def _fitted(self) -> Path:
        if self._adapter is None:
            raise ConfigError(f"this {type(self).__name__} is not fitted", hint="call fit(split), or from_pretrained")
        return self._adapter


class DEP(FittedPersonalizer):
    """Embeddings of past reviews, and their differences to peers', as soft prompts (arXiv 2507.20849).

    Example:
        >>> dep = DEP("Qwen/Qwen2.5-7B-Instruct", encoder="BAAI/bge-m3").fit(split)  # doctest: +SKIP
        >>> dep.write(store, user="ann", item="B1", rating=4).text  # doctest: +SKIP
        >>> dep.save_pretrained("ann-dep")  # doctest: +SKIP
    """

    name = "dep"

    @classmethod
    def from_released(
        cls,
        source: str | Path,
        out: str | Path,
        model: str | Path | None = None,
        *,
        encoder: str | Path | None = None,
        **how: Any,
    ) -> Self:
        """The weights that the authors' program wrote, as an adapter in ``out``.

        Args:
            source: Their checkpoint, downloaded: a folder, or a safetensors file.
            out: Folder of the adapter, for ``from_pretrained`` from then on.
            model: The language model they were fitted with; None: Qwen2.5-7B-Instruct.
            encoder: The same for the encoder; None: bge-m3.
            **how: Further arguments of the class.

        Raises:
            NotFoundError: There is no such checkpoint, model or encoder.
            ArtifactError: The checkpoint is damaged, or does not fit them.

        Example:
            >>> dep = DEP.from_released("DEP-model", "adapter")  # doctest: +SKIP
        """
        from idiolect.pipeline.released import BACKBONE, ENCODER, import_released

        with_model, with_encoder = str(model or BACKBONE), str(encoder or ENCODER)
        import_released(Path(source), Path(out), backbone=with_model, encoder=with_encoder)
        return cls.from_pretrained(out, with_model, encoder=with_encoder, **how)

    def inspect(
        self, store: Store | str | Path, split: Split | None = None, *, progress: bool = False, **settings: Any
    ) -> LatentReport:
        """What the units of the adapter's sparse code mean, on a store's reviews.

        Args:
            store: With vectors of the adapter's encoder.
            split: Whose validation targets show what is lost when a unit is silenced; None: no model is loaded.
            progress: Show a bar.
            **settings: Of ``LatentConfig`` (``shown=20``, ``units=(3, 7)``, ``stream="his"``).

        Returns:
            ``.text``, ``.to_markdown()``, ``.record()``, ``.units``; it shows texts of many users.

        Raises:
            ConfigError: It is not fitted, or has no autoencoder or no such unit.
            NotFoundError: There are too few reviews with vectors.

        Example:
            >>> print(dep.inspect(store, shown=3))  # doctest: +SKIP
            >>> dep.write(store, user="ann", item="B1", units={17: 0.0, 3: 2.0})  # doctest: +SKIP
        """
        from idiolect.config import build
        from idiolect.explain.latent import LatentConfig
        from idiolect.explain.units import inspect_adapter

        folder, place = self._fitted(), store if isinstance(store, Store) else Store(store)
        if split is not None:
            check_split(split)
        return inspect_adapter(
            place.path,
            folder,
            split=None if split is None else split.path,
            config=build(LatentConfig, settings, where="inspect"),
            changes=self.settings,
            backbone=self.model,
            encoder=self.encoder,
            progress=progress,
        )


class PPlug(FittedPersonalizer):
    """One soft prompt embedding of the user's whole history, chosen by what is to be written (arXiv 2409.11901).

    The text encoder is trained too, if it is a model. ``k`` past reviews are in the prompt as text (the paper's
    PPlug + retrieval); None: no text.

    Example:
        >>> pplug = PPlug("Qwen/Qwen2.5-7B-Instruct", encoder="BAAI/bge-base-en-v1.5").fit(split)  # doctest: +SKIP
        >>> pplug.write(store, user="ann", item="B1", rating=4).text  # doctest: +SKIP
    """

    name = "pplug"

    def __init__(self, model: str | Path | None = None, *, k: int | None = None, **how: Any) -> None:
        super().__init__(model, k=k or None, **how)
        if k is not None:
            self.settings = merge({"adapter": {"past_texts": k}}, self.settings)


def _is_artifact(path: Path) -> bool:
    return path.name in (_WEIGHTS, "config.json", "report.json", "README.md")
