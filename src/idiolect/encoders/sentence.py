"""Any sentence-transformers model, from a folder or a hub name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idiolect.config import read_json
from idiolect.encoders.digest import folder_digest
from idiolect.encoders.quiet import no_bars
from idiolect.errors import ArtifactError, NotFoundError, require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceEncoder:
    """A sentence-transformers model behind the seam of encoders.

    Args:
        model: The loaded model; its device, prompts and maximal length are its own.
        name: Keys the stored vectors, so it must change when the weights do.
    """

    def __init__(self, model: SentenceTransformer, *, name: str) -> None:
        self._model = model
        self._name = name
        self._dim = self.encode([""]).shape[1]

    @classmethod
    def load(cls, model: str, *, name: str | None = None) -> SentenceEncoder:
        """A model by folder or hub name; offline, only what is in the cache or in a folder can be had.

        Args:
            model: An existing folder, else a hub name such as ``BAAI/bge-m3``.
            name: Keys the vectors; made of the model's name and its revision (a folder: a digest) where None.

        Raises:
            NotFoundError: There is no such model, or it cannot be had from here.
            ArtifactError: The folder holds no model, or one that brings code of its own.
            MissingDependencyError: sentence-transformers is not installed.
        """
        library = require("sentence_transformers", extra="encoders")
        _check_modules(Path(model))
        try:
            with no_bars():
                loaded = library.SentenceTransformer(model, trust_remote_code=False)
        except OSError as error:
            reason = next(iter(str(error).splitlines()), "")
            raise NotFoundError(
                f"no encoder {model!r}: {reason}", hint="`minilm`, `style`, a model folder, or a hub name while online"
            ) from error
        except ValueError as error:
            raise ArtifactError(
                f"{model!r} is not an encoder: {error}", hint="give a sentence-transformers model"
            ) from error
        return cls(loaded, name=name or f"{_short(model)}@{_revision(model, loaded)}")

    @property
    def name(self) -> str:
        """Model and revision."""
        return self._name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: What to encode; what exceeds the model's length is cut by its tokenizer.
            batch_size: Texts of one forward pass, taken longest first so that little of it is padding.
        """
        if not texts:
            return np.zeros((0, self._dim), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda k: -len(texts[k]))
        ranked = self._model.encode(
            [texts[k] for k in order], batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        vectors = np.empty(np.shape(ranked), dtype=np.float32)
        vectors[order] = ranked
        return vectors


def _check_modules(folder: Path) -> None:
    """Refuse a folder that names classes outside of the library: loading it would run code of its author's choice."""
    path = folder / "modules.json"
    if not path.is_file():
        return
    try:
        kinds = [str(module["type"]) for module in read_json(path, max_bytes=2**20)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="restore the encoder's folder") from error
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise ArtifactError(
                f"the encoder in {str(folder)!r} needs code of its own ({kind[:80]!r}), which is never run",
                hint="use an encoder that is made of the library's own modules",
            )


def _short(model: str) -> str:
    folder = Path(model)
    return folder.resolve().name if folder.is_dir() else model


def _revision(model: str, loaded: Any) -> str:
    if Path(model).is_dir():
        return folder_digest(Path(model))
    config = getattr(getattr(loaded[0], "auto_model", None), "config", None)
    return str(getattr(config, "_commit_hash", None) or "unknown")[:12]
