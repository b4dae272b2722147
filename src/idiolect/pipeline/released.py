"""The DEP authors' released weights as an adapter's folder that ``write`` and ``evaluate`` take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.data.output_files import check_apart
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, ConfigError, NotFoundError, require
from idiolect.hub import only_cached
from idiolect.llm.registry import SANDBOX_BACKBONE
from idiolect.pipeline.adapters import SETTINGS
from idiolect.pipeline.results import write_json
from idiolect.pipeline.settings import Settings

if TYPE_CHECKING:
    from idiolect.softprompt.adapter import Adapter

BACKBONE, ENCODER = "Qwen/Qwen2.5-7B-Instruct", "BAAI/bge-m3"
"""What the released weights were fitted with."""


def import_released(
    source: Path, folder: Path, *, backbone: str = BACKBONE, encoder: str = ENCODER, revision: str | None = None
) -> Adapter:
    """Turn a checkpoint of the authors' program into a folder as ``fit`` writes one.

    The settings are the program's: the eight latest past reviews, differences weighted by profile distance, prompts of
    3,072 tokens. The prompt's wording is this library's, because the program's marker tokens are no part of the
    adapter (docs/papers.md).

    Args:
        source: The checkpoint: a folder or a safetensors file.
        folder: Gets the adapter.
        backbone: Folder or hub name of the language model that it was fitted with; its weights are not loaded.
        encoder: Name of the encoder that it was fitted with.
        revision: Of a hub model.

    Raises:
        NotFoundError: There is no such checkpoint, model or encoder.
        ArtifactError: The checkpoint is damaged, or fits neither the encoder's nor the model's width.
        ConfigError: ``folder`` holds other files.
    """
    require("torch", extra="train")
    from idiolect.softprompt.released import read_released

    check_apart(folder, (source,), what="the adapter")
    if folder.exists() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise ConfigError(f"{str(folder)!r} holds other files", hint="name a new folder")
    adapter = read_released(source)
    vectors = load_encoder(encoder)
    name, width = _backbone(backbone, revision)
    _check_width("encoder", encoder, adapter.config.d_in, vectors.dim)
    _check_width("backbone", backbone, adapter.config.hidden_size, width)
    settings = _settings(adapter, backbone=backbone, encoder=encoder, revision=revision)
    adapter.save_pretrained(folder, provenance={"source": source.name, "backbone": name, "encoder": vectors.name})
    names = {"encoder": vectors.name, "backbone": name, "templates": "", "store": "", "split": ""}
    write_json(folder / SETTINGS, {"settings": settings, **names})
    return adapter


def _check_width(what: str, name: str, ours: int, theirs: int) -> None:
    if ours != theirs:
        raise ArtifactError(
            f"the weights are for the {what} width {ours}; {name!r} has {theirs}",
            hint=f"name the {what} that they were fitted with",
        )


def _settings(adapter: Adapter, *, backbone: str, encoder: str, revision: str | None) -> dict[str, Any]:
    made = Settings.model_validate(
        {
            "encoder": encoder,
            "backbone": {"model": backbone, "revision": revision, "max_prompt_tokens": 3072},
            "context": {"k": 8, "retriever": "recency", "peer_weighting": "profile_distance"},
            "prompt": {"description_chars": 100_000},
            "adapter_preset": "authors",
            "adapter": {"d_sae": adapter.config.d_sae},
            "controls": [],
            "sampling": {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 2048},
        }
    )
    return made.model_dump(mode="json")


def _backbone(model: str, revision: str | None) -> tuple[str, int]:
    """Name and width of a language model, from its configuration alone."""
    from transformers import AutoConfig

    from idiolect.llm.checkpoint import model_name

    where = str(SANDBOX_BACKBONE) if model == "sandbox" else model
    try:
        found: dict[str, Any] = {"revision": revision, "local_files_only": only_cached(where)}
        config: Any = AutoConfig.from_pretrained(where, trust_remote_code=False, **found)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise NotFoundError(
            f"cannot read the model {model!r}: {reason}", hint="give a folder, or a hub name with the network on"
        ) from error
    commit = revision or getattr(config, "_commit_hash", None)
    return model_name(model, Path(where), commit), int(config.get_text_config().hidden_size)
