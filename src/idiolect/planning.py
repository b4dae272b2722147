"""What fitting and evaluating would take, before any weight is loaded: memory item by item, tokens, hours on a device.

Every figure is shown with its arithmetic. Memory is an upper bound at the settings' token budgets, without the
allocator's slack; hours assume the utilisation that is stated, so they are a scale, not a promise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from idiolect.config import build, load, merge
from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.registry import BackboneConfig, backend_of
from idiolect.llm.shapes import Shape, shape_of
from idiolect.methods.base import BASELINES, requirements
from idiolect.pipeline.data import Data
from idiolect.pipeline.settings import Settings
from idiolect.processes import launched
from idiolect.progress import tell
from idiolect.registry import suggest
from idiolect.softprompt.config import AdapterConfig, SoftPromptConfig

GB = 1e9
MFU, BANDWIDTH_SHARE = 0.35, 0.6
"""Shares of a device's peak arithmetic and memory bandwidth that hours are computed with."""
_PROMPT, _TARGET = 2048, 512
"""Tokens of a prompt and of a target where the settings set no bound."""
_PER_TOKEN = 3
"""Characters of a target that is cut to a number of them, and bytes of a known text, a token.

English has four and more; of Chinese, Japanese or Thai, a character has 3 bytes and is about a token.
"""
_ROOM = 0.9
"""Share of a device's memory that may be planned with; the rest is the allocator's and the framework's."""


class Device(NamedTuple):
    """An accelerator, by its data sheet."""

    name: str
    gigabytes: float
    teraflops: float
    """Dense, in bfloat16 (float32 on a CPU)."""
    bandwidth: float
    """GB a second."""
    link: float
    """GB a second to the other devices of the machine, each way: NVLink, or PCIe 4.0 x16."""


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "a100-40": Device("A100 40 GB", 40, 312, 1555, 300),
        "a100-80": Device("A100 80 GB", 80, 312, 2039, 300),
        "h100": Device("H100 80 GB", 80, 989, 3350, 450),
        "h200": Device("H200 141 GB", 141, 989, 4800, 450),
        "l40s": Device("L40S 48 GB", 48, 362, 864, 32),
        "rtx4090": Device("RTX 4090 24 GB", 24, 165, 1008, 32),
        "cpu": Device("two CPU cores, 16 GB", 16, 0.1, 20, 10),
    }
)


class Lengths(NamedTuple):
    """How long targets are, in tokens."""

    mean: int
    """Hours and tokens are computed with it."""
    longest: int
    """Memory is computed with it."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Lengths:
        """Of texts, by their bytes: no tokenizer is loaded.

        Args:
            texts: At least one.
        """
        sizes = [-(-len(text.encode(errors="surrogatepass")) // _PER_TOKEN) for text in texts]
        return cls(max(1, -(-sum(sizes) // len(sizes))), max(1, *sizes))

    def cut(self, bound: int | None) -> Lengths:
        """Of targets that are cut to a number of tokens; None: they are not."""
        return self if bound is None else Lengths(min(self.mean, bound), min(self.longest, bound))


class Item(NamedTuple):
    """One figure and how it comes about."""

    name: str
    value: float
    """Bytes, tokens or hours."""
    arithmetic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one command takes."""

    command: str
    batch: int
    memory: tuple[Item, ...]
    """In bytes."""
    tokens: float
    hours: tuple[Item, ...]
    fits: bool
    largest_batch: int
    """That fits; 0: not even one example does."""

    @property
    def bytes(self) -> float:
        """All of the memory."""
        return sum(item.value for item in self.memory)

    @property
    def total_hours(self) -> float:
        """All of the time."""
        return sum(item.value for item in self.hours)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """What a run would take on a device."""

    shape: Shape
    device: Device
    dtype: str
    adapter: int
    """Parameters of the adapter; 0: there is none."""
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """A line per figure, with its arithmetic."""
        return "\n".join(_lines(self))

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {
            "device": self.device._asdict(),
            "shape": asdict(self.shape) | {"parameters": self.shape.parameters},
            "parts": [
                asdict(part)
                | {name: [item._asdict() for item in getattr(part, name)] for name in ("memory", "hours")}
                | {"bytes": part.bytes}
                for part in self.parts
            ],
        }


def this_device(backbone: BackboneConfig) -> Device:
    """Where a model in this process would run; its speed is 0 if its data sheet is not known here."""
    torch = import_module("torch") if find_spec("torch") else None
    if backbone.device == "cpu" or torch is None or not torch.cuda.is_available():
        cores, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
        each = DEVICES["cpu"]
        return Device(f"{cores} CPU cores, {memory:.0f} GB", memory, each.teraflops / 2 * cores, *each[3:])
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    memory, name = found.total_memory / GB, found.name.upper()
    alike = [one for one in DEVICES.values() if one.name.split(" GB")[0].rsplit(" ", 1)[0] in name]
    near = min(alike, key=lambda one: abs(one.gigabytes - memory), default=None)
    return Device(found.name, memory, *(near[2:] if near else (0.0, 0.0, 0.0)))


_LONG = 0.1
"""Hours from which on a run is announced."""


def estimate(data: Data, command: Literal["fit", "evaluate"]) -> str | None:
    """What a command is about to take on this machine, in a line; None if it is short or its model is elsewhere.

    Args:
        data: Store, split and settings of the run.
        command: ``fit`` or ``evaluate``.
    """
    settings = data.settings
    try:
        device = this_device(settings.backbone)
        samples = data.samples("fit" if command == "fit" else data.evaluated)
        counted, texts = len(samples), [sample.reference or "" for sample in samples]
        lengths = Lengths.of(texts).cut(settings.fit.max_target_tokens)
        found = plan(
            settings, device=device, devices=launched(), train=counted, test=counted, dim=data.dim, targets=lengths
        )
    except (ConfigError, NotFoundError):  # behind an endpoint, or of a shape that is not known
        return None
    part = next((one for one in found.parts if one.command == command), None)
    if part is None:
        return None
    hours = part.total_hours / (launched() if command == "evaluate" else 1)  # the plan's evaluate has one process
    if part.fits and hours < _LONG and device.teraflops:
        return None
    took = f"{hours:,.1f} h" if device.teraflops else "hours unknown"
    what = "examples" if command == "fit" else "targets"
    verdict = "" if part.fits else f"; not at batch {part.batch}: batches are halved until they fit"
    return (
        f"estimate, upper bounds: {counted:,} {what} of {lengths.mean:,} tokens ({lengths.longest:,} at most) on "
        f"{device.name}: {part.bytes / GB:,.1f} GB{verdict}, "
        f"{part.tokens / 1e6:,.1f} M tokens, {took} (idiolect doctor --plan explains the figures)"
    )


def announce(command: Literal["fit", "evaluate"], *, shown: bool) -> Callable[[Data], None]:
    """Prints the estimate of a command on standard error before anything long starts; the first process alone does."""

    def estimated(data: Data) -> None:
        line = estimate(data, command) if shown else None
        if line is not None:
            tell(line)

    return estimated


def plan(
    what: Settings | str | Path,
    *,
    device: str | Device = "h100",
    devices: int = 1,
    sharded: bool = False,
    train: int = 1000,
    test: int = 1000,
    dim: int = 1024,
    targets: Lengths | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """The memory and hours that ``fit`` and ``evaluate`` would take, with the arithmetic. Nothing is loaded.

    Args:
        what: Settings, a YAML file of them, or a language model: a size of Qwen2.5 (``7b``), or a folder.
        device: A name of ``DEVICES``, or one by its figures.
        devices: How many of them ``fit`` runs on, with its own examples each; ``evaluate`` runs on one.
        sharded: Whether the backbone's layers are spread over them (FSDP), and not copied to each.
        train: Training examples.
        test: Evaluated targets.
        dim: Width of the encoder's vectors.
        targets: How long the targets are; None: as long as the settings let them be, else 512 tokens.
        settings: Single settings, which go before those of a file (``{"fit": {"checkpointing": True}}``).

    Raises:
        ConfigError: An unknown setting or device, too few devices, or a model behind an endpoint (its memory is not
            ours).
        NotFoundError: The backbone's shape is not known, and it is no folder with a configuration.

    Example:
        >>> plan("7b", train=3996).shape.parameters
        7615616512
    """
    run = _settings(what, settings or {})
    if isinstance(device, str) and device not in DEVICES:
        raise ConfigError(f"unknown device {device!r}", hint=suggest(device, DEVICES))
    if devices < (2 if sharded else 1):
        raise ConfigError(f"{devices} devices cannot be planned with", hint="devices=8, for instance")
    shape, chosen = shape_of(run.backbone), DEVICES[device] if isinstance(device, str) else device
    dtype = run.backbone.dtype if run.backbone.dtype != "auto" else _dtype(chosen)
    found = _Planner(
        run, shape, chosen, 4 if dtype == "float32" else 2, dim, devices=devices, sharded=sharded, targets=targets
    )
    parts = [found.evaluate(test)]
    if requirements(run.adapter_method).adapter and backend_of(run.backbone) == "transformers":
        parts.insert(0, found.fit(train))
    return Plan(
        shape=shape, device=chosen, dtype=dtype, adapter=found.adapter, parts=tuple(parts), notes=tuple(found.notes())
    )


def _settings(what: Settings | str | Path, changes: Mapping[str, Any]) -> Settings:
    if isinstance(what, Settings):
        return build(Settings, merge(what.model_dump(), changes), where="settings") if changes else what
    config = Path(what) if str(what).endswith((".yaml", ".yml")) else None
    return load(Settings, config, changes if config else merge({"backbone": {"model": str(what)}}, changes))


def _dtype(device: Device) -> str:
    return "float32" if "CPU" in device.name else "bfloat16"


def adapter_parameters(config: SoftPromptConfig) -> int:
    """Parameters of an adapter; of PPlug without a copy of the text encoder, and of kinds of your own at least."""
    if not isinstance(config, AdapterConfig):
        return config.min_parameters
    autoencoder = 0 if config.refine == "none" else 2 * config.d_in * config.width + config.d_in + config.width
    projector = (config.width + config.hidden_size + 2) * config.hidden_size
    return autoencoder + len(config.kept_streams) * projector + (2 if config.match_norm else 0)


class _Planner:
    """Figures of one run on one device."""

    def __init__(
        self,
        settings: Settings,
        shape: Shape,
        device: Device,
        width: int,
        dim: int,
        *,
        devices: int,
        sharded: bool,
        targets: Lengths | None,
    ) -> None:
        self.settings, self.shape, self.device, self.width = settings, shape, device, width
        self.devices, self.sharded = devices, sharded
        needs = requirements(settings.adapter_method).adapter
        config = settings.adapter_config(d_in=dim, hidden_size=shape.hidden) if needs else None
        self.adapter = adapter_parameters(config) if config else 0
        self.copies_encoder = getattr(config, "input_encoder", None) == "encoder"
        self.prompt = settings.backbone.max_prompt_tokens or _PROMPT
        chars = settings.targets.max_chars
        bound = settings.fit.max_target_tokens
        assumed = bound or (chars and -(-chars // _PER_TOKEN)) or _TARGET
        self.measured, self.bounded = targets is not None, bool(bound or chars)
        self.mean, self.target = targets.cut(bound) if targets else (assumed, assumed)
        self.new = settings.sampling.max_new_tokens

    def notes(self) -> Iterator[str]:
        """What the figures rest on."""
        yield (
            f"prompts of {self.prompt:,}, targets of {self.target:,} and texts of {self.new:,} tokens are upper "
            "bounds; most are shorter, and memory and hours with them"
        )
        if self.measured:
            yield f"hours are of targets of {self.mean:,} tokens, their mean: lengths are bytes / {_PER_TOKEN}"
        elif not self.bounded:
            yield f"{self.target:,} tokens are assumed for targets, longer ones need more: bound with targets.max_chars"
        yield (
            f"{self.device.name}: {self.device.teraflops:g} TFLOP/s at {MFU:.0%}, {self.device.bandwidth:g} GB/s at "
            f"{BANDWIDTH_SHARE:.0%}; {_ROOM:.0%} of {self.device.gigabytes:g} GB is planned with"
        )
        own = [name for name, role in self.settings.differences.asked.items() if role.backbone is not None]
        if own:
            yield f"models that play a role to themselves are not counted: {', '.join(own)}"
        if self.devices > 1:
            yield (
                f"fit: {self.devices} devices, each with its own examples; memory is that of one of them"
                f"{', with its share of the layers' if self.sharded else ''}; evaluate: one device"
            )
        if self.copies_encoder:
            yield "a trained copy of the text encoder is not counted"

    def fit(self, examples: int) -> Part:
        """``fit``: forward and backward passes of one device."""
        how, tokens = self.settings.fit, self.prompt + self.mean
        # Frozen weights get no gradient: a token costs 2 P forward and 2 P back, and 2 P again if recomputed.
        passes = 6 if how.checkpointing else 4
        flops = self._flops(tokens, passes)
        total = float(
            examples * how.epochs if how.max_steps is None else how.max_steps * how.batch_size * how.accumulation
        )
        hours = _ratio(total * flops, self.device.teraflops * 1e12 * MFU) / 3600 / self.devices
        each = f"{passes} x {self._billions} x {tokens:,} tokens, attention"
        share = f" / {self.devices} devices" if self.devices > 1 else ""
        took = [
            Item("forward and backward", hours, f"{total:,.0f} examples x {flops / 1e12:,.1f} TFLOP ({each}){share}")
        ]
        if self.sharded:
            took.append(self._gathering(total / self.devices / how.batch_size))
        return self._part("fit", how.batch_size, self._fit_memory, total * tokens, tuple(took))

    def _gathering(self, steps: float) -> Item:
        """Every step gathers all layers twice, forward and backward; the adapter's gradients are small beside them."""
        n, b = self.shape.layer_parameters, self.width
        moved = 2 * n * b * (self.devices - 1) / self.devices
        said = (
            f"{steps:,.0f} steps x 2 x {n * b / GB:,.1f} GB x {self.devices - 1}/{self.devices} at "
            f"{self.device.link:g} GB/s; it overlaps with the computation"
        )
        return Item("gathering layers", steps * moved / (self.device.link * GB) / 3600, said)

    def _fit_memory(self, batch: int) -> tuple[Item, ...]:
        s, b, how, tokens = self.shape, self.width, self.settings.fit, self.prompt + self.target
        layer = s.activation_bytes[b]
        kept = s.layers * s.hidden * b + layer if how.checkpointing else s.layers * layer
        what = "one layer, and inputs of all" if how.checkpointing else f"{s.layers} layers x {layer:,} bytes"
        return (
            self._shard() if self.sharded else self._weights(),
            Item("adapter", 16.0 * self.adapter, f"{self.adapter / 1e6:.2f} M x 16 bytes: float32, gradient, AdamW"),
            Item("activations", float(batch * tokens * kept), f"{batch} x {tokens:,} tokens x {what}"),
            Item(
                "logits", 14.0 * batch * self.target * s.vocabulary,
                f"{batch} x {self.target:,} targets x {s.vocabulary:,} x 14 bytes: logits, float32, softmax, gradient",
            ),
        )  # fmt: skip

    def evaluate(self, targets: int) -> Part:
        """``evaluate``: a likelihood and a text of every target and method."""
        methods = list(dict.fromkeys((*BASELINES, *self.settings.methods, *self._fitted())))
        calls = {name: self._calls(name) for name in methods}
        n_calls, batch = sum(calls.values()), self.settings.backbone.batch_size
        read = targets * len(methods) * self._flops(self.prompt + self.mean, 2)
        prefill = targets * n_calls * self._flops(self.prompt, 2)
        per_second = self.device.teraflops * 1e12 * MFU
        # Each new token of a batch reads all weights and the batch's keys and values once.
        step = _ratio(self._weights().value + self._cache(batch), self.device.bandwidth * 1e9 * BANDWIDTH_SHARE)
        decode = targets * n_calls * self.new / batch * max(step, _ratio(batch * self._flops(1, 2), per_second))
        shown = ", ".join(f"{name} {n}" for name, n in calls.items())
        hours = (
            Item(
                "likelihoods",
                _ratio(read, per_second) / 3600,
                f"{targets:,} targets x {len(methods)} methods, one forward pass",
            ),
            Item("prompts", _ratio(prefill, per_second) / 3600, f"{targets:,} targets x {n_calls} calls ({shown})"),
            Item("new tokens", decode / 3600, f"{self.new:,} a call, {batch} at once, {step * 1e3:.0f} ms a step"),
        )
        tokens = targets * (len(methods) * (self.prompt + self.mean) + n_calls * (self.prompt + self.new))
        return self._part("evaluate", batch, self._evaluate_memory, float(tokens), hours)

    def _fitted(self) -> tuple[str, ...]:
        in_process = backend_of(self.settings.backbone) == "transformers"
        return (self.settings.adapter_method,) if in_process and self.adapter else ()

    def _calls(self, method: str) -> int:
        """Calls of the run's model per target: roles that other models play are not counted."""
        roles, needs = self.settings.differences.roles, requirements(method)
        own = [name for name in needs.roles if name in roles and roles[name].backbone is None]
        anchors = self.settings.differences.comparison.anchors
        return 1 + sum(anchors if name in ("extractor", "validator") else 1 for name in own if name != "generator")

    def _evaluate_memory(self, batch: int) -> tuple[Item, ...]:
        s, b, tokens = self.shape, self.width, self.prompt + max(self.new, self.target)
        logits = batch * self.target * s.vocabulary * b + 8 * self.target * s.vocabulary
        working = batch * tokens * b * (3 * s.intermediate + 4 * s.hidden)
        layer = f"(3 x {s.intermediate:,} + 4 x {s.hidden:,}) x {b}"
        rows = f"{batch} x {self.target:,} targets x {s.vocabulary:,} x {b} bytes"
        return (
            self._weights(),
            Item("adapter", 4.0 * self.adapter, f"{self.adapter / 1e6:.2f} M x 4 bytes"),
            Item(
                "keys and values", self._cache(batch),
                f"{batch} x {self.prompt + self.new:,} tokens x {s.layers} layers x 2 x {s.key:,} x {b} bytes",
            ),
            Item("one layer's work", float(working), f"{batch} x {tokens:,} tokens x {layer}"),
            Item("logits", float(logits), f"{rows}, one row in float32"),
        )  # fmt: skip

    def _cache(self, batch: int) -> float:
        s = self.shape
        return float(batch * (self.prompt + self.new) * s.layers * 2 * s.key * self.width)

    def _weights(self) -> Item:
        return Item("weights", float(self.shape.parameters * self.width), f"{self._billions} x {self.width} bytes")

    def _shard(self) -> Item:
        """A device's share of the layers, all embeddings, and two layers that are gathered at once."""
        s, b = self.shape, self.width
        layers, embeddings = s.layer_parameters * b / GB, (s.parameters - s.layer_parameters) * b / GB
        said = f"{layers:,.1f} GB / {self.devices} + embeddings {embeddings:,.1f} GB + 2 of {s.layers} layers"
        return Item("weights", (layers / self.devices + embeddings + 2 * layers / s.layers) * GB, said)

    @property
    def _billions(self) -> str:
        n = self.shape.parameters
        return f"{n / 1e9:.2f} B" if n >= 1e9 else f"{n / 1e6:.1f} M"

    def _flops(self, tokens: int, passes: int) -> float:
        """Operations of one text: 2 per parameter and token for each forward pass, and attention's two products."""
        s = self.shape
        dense = s.layer_parameters + s.vocabulary * s.hidden * (self.mean / max(tokens, 1) if tokens > 1 else 1)
        return passes * tokens * (dense + s.layers * s.query * tokens)

    def _part(self, command: str, batch: int, memory: Any, tokens: float, hours: tuple[Item, ...]) -> Part:
        room = _ROOM * self.device.gigabytes * GB

        def needs(size: int) -> float:
            return sum(item.value for item in memory(size))

        each = needs(2) - needs(1)  # everything but weights grows with the batch
        largest = max(0, int((room - needs(1)) // each) + 1) if needs(1) <= room else 0
        return Part(
            command=command, batch=batch, memory=memory(batch), tokens=tokens, hours=hours, fits=needs(batch) <= room,
            largest_batch=largest,
        )  # fmt: skip


def _ratio(work: float, speed: float) -> float:
    """Seconds; 0 where the speed is not known."""
    return work / speed if speed else 0.0


def _lines(found: Plan) -> Iterator[str]:
    s = found.shape
    share = f", adapter {found.adapter / 1e6:.2f} M ({found.adapter / (s.parameters + found.adapter):.2%} of all)"
    yield (
        f"{s.name}: {s.parameters:,} parameters in {found.dtype} ({s.layers} layers, width {s.hidden:,}, vocabulary "
        f"{s.vocabulary:,}){share if found.adapter else ''}"
    )
    for part in found.parts:
        verdict = "fits" if part.fits else "does not fit"
        most = f"largest batch that fits: {part.largest_batch}" if part.largest_batch else _SMALLER
        yield ""
        yield f"{part.command} on {found.device.name}: {part.bytes / GB:,.1f} GB, {verdict}; {most}"
        yield from (f"  {item.name:<20} {item.value / GB:>9,.2f} GB  {item.arithmetic}" for item in part.memory)
        yield from (f"  {item.name:<20} {item.value:>9,.2f} h   {item.arithmetic}" for item in part.hours)
        yield f"  {'tokens':<20} {part.tokens / 1e6:>9,.1f} M"
    yield ""
    yield from (f"- {note}" for note in found.notes)


_SMALLER = "not even one example fits: fit.checkpointing=true, smaller budgets, or a larger device"
