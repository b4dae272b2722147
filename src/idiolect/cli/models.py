"""``idiolect fit``, ``write`` and ``pretrain``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from idiolect.api import studies
from idiolect.cli.options import Json, KeyFile, Quiet, Set, StorePath, overrides, progress, settings_for, show, warn
from idiolect.config import merge
from idiolect.errors import ConfigError
from idiolect.pipeline.commands import run_fit
from idiolect.pipeline.released import BACKBONE, ENCODER, import_released
from idiolect.pipeline.write import Written, write_review
from idiolect.planning import announce

if TYPE_CHECKING:
    from idiolect.training.fit import FitReport


def pretrain(
    *,
    out: Path,
    store: StorePath = "idiolect.db",
    split: Path | None = None,
    truth: Path | None = None,
    annotate: bool = False,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a small language model and its tokenizer from scratch on a store's reviews, in the library's own prompts.

    Args:
        out: Folder of the model; an interrupted run is resumed from its last checkpoint.
        store: SQLite file or database URL.
        split: A split whose targets are kept out of the text.
        truth: Ground truth of a sandbox world, for the prompt formats that show a user's profile.
        annotate: Describe users and reviews from the measures of style, for these formats (English).
        config: YAML file of settings.
        set: A setting as name=value (size=9m, max_steps=2000); may be repeated.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    report = studies.pretrain(
        store, out, split=split, truth=truth, annotate=annotate, config=config, progress=progress(quiet),
        **settings_for(studies.pretrain, set),
    )  # fmt: skip
    millions, tokens = report.parameters / 1e6, report.tokens_seen / 1e6
    perplexity, nats = report.held_out_perplexity, report.held_out_review_nats
    own = report.held_out_review_perplexity
    of_reviews = "" if own is None else f", {own:.2f} a token of the reviews alone"
    text = (
        f"{millions:.1f} M parameters, {tokens:.2f} M tokens in {report.seconds:.0f} s\n"
        f"held-out perplexity {perplexity:.2f} a token{of_reviews}, {nats:.1f} nats a review\n"
        f"model in {out}"
    )
    show(asdict(report), text, as_json=json)


def fit(
    *,
    split: Path,
    out: Path,
    store: StorePath = "idiolect.db",
    method: str | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    initial: Path | None = None,
    config: Path | None = None,
    set: Set = (),
    restart: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a method's soft-prompt adapter to a split's train targets; the backbone stays frozen.

    On several GPUs: torchrun --nproc-per-node=4 -m idiolect.cli.main fit ...

    Args:
        split: Folder of the split.
        out: Folder of the adapter; an interrupted fit is resumed from its last checkpoint.
        store: SQLite file or database URL.
        method: dep or pplug (or module:Class, one of your own); default: the settings' adapter_method.
        backbone: Folder or hub name of a causal language model; default: the shipped sandbox model.
        encoder: Whose vectors are used; default: minilm.
        initial: Folder of an adapter to continue from, with its scales; default: from scratch.
        config: YAML file of settings; flags go before it.
        set: A setting as name=value (fit.epochs=3, context.k=4); may be repeated.
        restart: Begin anew instead of going on.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    changes = overrides(set) if method is None else merge(overrides(set), {"adapter_method": method})
    reports = run_fit(
        store, split, out, config=config, changes=changes, backbone=backbone, encoder=encoder, initial=initial,
        resume=not restart, progress=progress(quiet), before=announce("fit", shown=not quiet),
    )  # fmt: skip
    text = "\n".join([*(_text(name, report) for name, report in reports.items()), f"adapter in {out}"])
    own, *controls = reports
    folders = {own: out, **{name: out / name for name in controls}}
    show({name: _record(report, folders[name]) for name, report in reports.items()}, text, as_json=json)


def _text(name: str, report: FitReport) -> str:
    epochs = ", ".join(f"{seconds:.1f}" for seconds in report.seconds_per_epoch) or "none in this run"
    validation = "no validation: the last adapter is kept"
    if report.best_metric is not None:
        validation = f"best validation {report.metric} {report.best_metric:.4g}, at step {report.best_step}"
    return (
        f"{name}: {report.trainable_parameters:,} trainable parameters, {report.trainable_share:.2%} of all\n"
        f"{name}: {report.steps} steps; seconds per epoch: {epochs}\n"
        f"{name}: {validation}"
    )


def _record(report: FitReport, folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "steps": report.steps,
        "trainable_parameters": report.trainable_parameters,
        "trainable_share": report.trainable_share,
        "seconds_per_epoch": report.seconds_per_epoch,
        "metric": report.metric,
        "best_metric": report.best_metric,
        "losses": dict(report.losses),
    }


def import_adapter(
    source: Path,
    /,
    *,
    out: Path,
    backbone: str = BACKBONE,
    encoder: str = ENCODER,
    revision: str | None = None,
    json: Json = False,
) -> None:
    """Make an adapter of a checkpoint that the DEP authors' program wrote.

    Only the adapter's tensors are read, not the language model's. The adapter is one from elsewhere: name --backbone
    and --encoder when it is used.

    Args:
        source: Folder of the checkpoint, with its model*.safetensors, or one such file.
        out: Folder of the adapter.
        backbone: Folder or hub name of the language model that it was fitted with.
        encoder: The encoder that it was fitted with.
        revision: Branch, tag or commit of a hub model.
        json: Print one JSON object.
    """
    adapter = import_released(source, out, backbone=backbone, encoder=encoder, revision=revision)
    config = adapter.config
    parameters = sum(tensor.numel() for tensor in adapter.parameters())
    text = f"{parameters:,} parameters, {config.d_in} to {config.d_sae} to {config.hidden_size}\nadapter in {out}"
    show({"folder": str(out), "parameters": parameters, "config": config.model_dump(mode="json")}, text, as_json=json)


def write(
    *,
    user: str,
    item: str,
    store: StorePath = "idiolect.db",
    adapter: Path | None = None,
    method: str = "auto",
    rating: str | None = None,
    title: str = "",
    backbone: str | None = None,
    encoder: str | None = None,
    pseudonyms: KeyFile = None,
    config: Path | None = None,
    set: Set = (),
    include_own_review: Annotated[bool, Parameter(negative="")] = False,
    mute: Annotated[tuple[int, ...], Parameter(negative="")] = (),
    boost: Annotated[Set, Parameter(name="--boost")] = (),
    json: Json = False,
) -> None:
    """Write a review of an item as a user would.

    Args:
        user: Whose voice.
        item: What about.
        store: SQLite file or database URL.
        adapter: Folder of a fitted adapter; its settings are used.
        method: auto (the adapter's, or rag without one), nonpersonalized, rag, dep, pplug; pag, dpl or drp, which first
            put the user into words; or module:Class, one of your own.
        rating: The rating to write to.
        title: The title to write to.
        backbone: Folder or hub name; with an adapter from elsewhere, the one it was fitted with.
        encoder: Whose vectors are used; with an adapter from elsewhere, the one it was fitted with.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        config: YAML file of settings, if there is no adapter.
        set: A setting as name=value (sampling.temperature=0); may be repeated.
        include_own_review: Show the model what the user already wrote about this item; otherwise it is left out.
        mute: A unit of DEP's sparse code that is silenced (explain --latent lists them); may be repeated.
        boost: A unit and the factor that it is multiplied by, as unit=factor; may be repeated.
        json: Print one JSON object, with everything the text was written from.
    """
    prediction = write_review(
        store, user=user, item=item, adapter=adapter, method=method, rating=rating, title=title,
        backbone=backbone, encoder=encoder, config=config, changes=overrides(set), pseudonyms=pseudonyms,
        include_own_review=include_own_review, units=_units(mute, boost),
    )  # fmt: skip
    for note in prediction.notes:
        warn(note)
    show({"user": user, "item": item, **_record_write(prediction)}, prediction.text, as_json=json)


def _units(mute: tuple[int, ...], boost: tuple[str, ...]) -> dict[int, float]:
    """``(12,)`` and ``("7=2.5",)`` as ``{12: 0.0, 7: 2.5}``.

    Raises:
        ConfigError: A pair is no unit and factor, or a unit stands twice.
    """
    units = dict.fromkeys(mute, 0.0)
    for pair in boost:
        try:
            unit, factor = (kind(part) for kind, part in zip((int, float), pair.split("="), strict=True))
        except ValueError as error:
            raise ConfigError(f"--boost {pair!r} is not unit=factor", hint="for instance --boost 12=2") from error
        if unit in units:
            raise ConfigError(f"unit {unit} is named twice", hint="mute or boost it once")
        units[int(unit)] = factor
    return units


def _record_write(prediction: Written) -> dict[str, Any]:
    """Everything the text was written from."""
    return {
        "method": prediction.method,
        "text": prediction.text,
        "profile": prediction.profile,
        "prompt": prediction.prompt,
        "virtual_tokens": list(prediction.virtual_tokens),
        "stages": [asdict(stage) for stage in prediction.stages],
        "compared": [asdict(one) for one in prediction.compared],
        "not_measured": prediction.not_measured,
        "curve": None if prediction.curve is None else asdict(prediction.curve),
        "features": [{**asdict(feature), "valid": feature.valid} for feature in prediction.features],
        "anchors": list(prediction.anchors),
        "peer_scopes": dict(prediction.peer_scopes),
        "own_reviews": list(prediction.own_reviews),
        "own_reviews_shown": prediction.own_reviews_shown,
        "units": dict(prediction.units),
        "prompt_tokens": prediction.prompt_tokens,
        "completion_tokens": prediction.completion_tokens,
        "notes": list(prediction.notes),
        "usage": {stage: asdict(took) for stage, took in prediction.usage.items()},
    }
