"""The estimate of memory and time: its parameters and activations are those of the models themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from hypothesis import given
from hypothesis import strategies as st

from idiolect.cli.main import main
from idiolect.config import load, recipes
from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.shapes import SHAPES, Shape, shape_of
from idiolect.pipeline.settings import Settings
from idiolect.planning import DEVICES, Lengths, announce, estimate, plan, this_device
from idiolect.softprompt.model import make_adapter
from idiolect.types import ItemId, Sample, UserId

DEP = recipes() / "dep" / "dep.yaml"


def made(shape: Shape, **more: Any) -> Any:
    config = tf.Qwen2Config(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        **more,
    )
    return tf.Qwen2ForCausalLM(config)


@pytest.mark.parametrize("size", SHAPES)
def test_parameters_are_those_of_the_architecture(size: str) -> None:
    shape = SHAPES[size]
    assert tf.Qwen2ForCausalLM  # PyTorch 2.6 cannot be imported in full while a device is set
    with torch.device("meta"):
        model = made(shape)
        model.tie_weights()  # transformers 5.0 does not tie them on this device
    assert sum(one.numel() for one in model.parameters()) == shape.parameters
    assert f"{shape.parameters / 1e9:.1f}"[0] != "0" or size == "0.5b"


def test_the_adapter_is_0_40_percent_of_the_7b_model_as_the_paper_says() -> None:
    settings = load(Settings, DEP)
    found = plan(settings)
    config: Any = settings.adapter_config(d_in=1024, hidden_size=found.shape.hidden)
    assert found.adapter == sum(one.numel() for one in make_adapter(config).parameters())
    assert f"{found.adapter / (found.adapter + found.shape.parameters):.2%}" == "0.40%"
    assert "0.40% of all" in found.text


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize(("dtype", "width"), [(torch.bfloat16, 2), (torch.float32, 4)])
def test_activations_are_what_the_backward_pass_keeps(dtype: torch.dtype, width: int, kv_heads: int) -> None:
    if kv_heads == 2 and torch.__version__.startswith("2.6."):
        pytest.skip("PyTorch 2.6 copies the keys and values of grouped queries on a CPU")
    sizes: dict[str, int] = {"hidden": 64, "heads": 4, "head_dim": 16, "intermediate": 160, "vocabulary": 50}
    shape = Shape(name="tiny", layers=3, kv_heads=kv_heads, **sizes)
    model, tokens = made(shape).to(dtype).requires_grad_(False), 128
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)  # so that no storage is used again
        return tensor

    held: list[torch.Tensor] = []
    embeds = torch.randn(1, tokens, 64, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.model(inputs_embeds=embeds, attention_mask=torch.ones(1, tokens, dtype=torch.long), use_cache=False)
    estimated = shape.layers * tokens * shape.activation_bytes[width]
    assert 0.75 < sum(kept.values()) / estimated < 1.15


def test_a_plan_states_its_arithmetic_and_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--plan", str(DEP), "--device", "h100", "--train", "3996", "--test", "3996"])
    text = capsys.readouterr().out
    assert "7,615,616,512 parameters in bfloat16" in text
    assert "7.62 B x 2 bytes" in text
    main(["doctor", "--plan", str(DEP), "--device", "rtx4090", "--json"])
    record = json.loads(capsys.readouterr().out)
    fit = next(part for part in record["parts"] if part["command"] == "fit")
    assert fit["bytes"] == pytest.approx(sum(item["value"] for item in fit["memory"]))
    assert not fit["fits"]
    assert fit["largest_batch"] == 0
    main(["doctor", "--plan", "7b", "--device", "rtx4090", "--set", "fit.checkpointing=true",
          "--set", "fit.batch_size=1", "--json"])  # fmt: skip
    (fit, _) = json.loads(capsys.readouterr().out)["parts"]
    assert fit["fits"]
    assert fit["largest_batch"] >= 1


def test_more_work_takes_more_and_a_faster_device_less() -> None:
    settings = Settings.model_validate({"backbone": {"model": "Qwen/Qwen2.5-7B-Instruct"}})
    (fit, evaluate), (longer, more) = (plan(settings, train=n, test=n).parts for n in (100, 200))
    assert sum(h.value for h in longer.hours) == pytest.approx(2 * sum(h.value for h in fit.hours))
    assert more.tokens == pytest.approx(2 * evaluate.tokens)
    slow, fast = (plan(settings, device=name).parts[0].hours[0].value for name in ("a100-80", "h100"))
    assert fast < slow
    sizes = [plan(Settings.model_validate({"backbone": {"model": size}})).parts[0].bytes for size in SHAPES]
    assert sizes == sorted(sizes)
    wide = plan(settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"batch_size": 64})}))
    assert wide.parts[1].bytes > evaluate.bytes


def test_targets_are_as_long_as_the_settings_let_them_be_and_else_assumed() -> None:
    def planned(**targets: Any) -> tuple[float, str]:
        found = plan(Settings.model_validate({"backbone": {"model": "7b"}, "targets": targets}))
        return found.parts[0].hours[0].value, found.text

    free, text = planned()
    assert "512 tokens are assumed for targets" in text
    cut, text = planned(max_chars=900)
    assert "targets of 300 and" in text
    assert "assumed for targets" not in text
    assert cut < free


def test_the_largest_batch_is_the_largest_that_fits() -> None:
    settings = Settings.model_validate({"backbone": {"model": "1.5b"}})
    room = 0.9 * DEVICES["h100"].gigabytes * 1e9
    most = plan(settings).parts[0].largest_batch
    for size, fits in ((most, True), (most + 1, False)):
        changed = settings.model_copy(update={"fit": settings.fit.model_copy(update={"batch_size": size})})
        part = plan(changed).parts[0]
        assert part.fits is fits
        assert (part.bytes <= room) is fits


def test_calls_are_counted_by_role() -> None:
    roles = {"extractor": {}, "validator": {}, "summarizer": {}}
    settings = {"backbone": {"model": "7b"}, "methods": ["drp"], "differences": roles}
    hours = {item.name: item for item in plan(Settings.model_validate(settings)).parts[-1].hours}
    assert "drp 18" in hours["prompts"].arithmetic


def test_shapes_come_from_folders_too(tmp_path: Path) -> None:
    shape = shape_of(BackboneConfig())
    assert shape.parameters == 3_064_128 or shape.parameters > 2e6
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    with pytest.raises(NotFoundError, match="states no shape"):
        shape_of(BackboneConfig(model=str(tmp_path)))
    with pytest.raises(NotFoundError, match="the shape of 'gpt-9' is not known"):
        shape_of(BackboneConfig(model="gpt-9"))
    with pytest.raises(ConfigError, match="behind an endpoint"):
        shape_of(BackboneConfig(model="fake"))
    with pytest.raises(ConfigError, match="unknown device 'h10'"):
        plan(Settings.model_validate({"backbone": {"model": "7b"}}), device="h10")


def test_several_devices_share_examples_and_sharded_ones_the_layers_too() -> None:
    settings = load(Settings, DEP, {"backbone": {"model": "32b"}, "fit": {"checkpointing": True, "batch_size": 1}})
    one, eight, sharded = (
        plan(settings, devices=n, sharded=cut).parts[0] for n, cut in ((1, False), (8, False), (8, True))
    )
    assert eight.hours[0].value == pytest.approx(one.hours[0].value / 8)
    assert eight.memory == one.memory
    assert sharded.memory[0].value < one.memory[0].value / 4
    assert (one.fits, sharded.fits) == (False, True)
    assert [item.name for item in sharded.hours] == ["forward and backward", "gathering layers"]
    with pytest.raises(ConfigError, match="1 devices"):
        plan(settings, sharded=True)


class _Asked:
    """What an estimate reads of a run."""

    dim, evaluated = 1024, "test"

    def __init__(self, settings: Settings, n: int, text: str = "a text " * 180) -> None:
        self.settings, self._n, self._text = settings, n, text

    def samples(self, phase: str) -> list[Sample]:
        return [Sample(user=UserId("u"), item=ItemId("i"), reference=self._text)] * self._n


TEXT = st.text("abc é很ไ", max_size=40)


@given(st.lists(TEXT, min_size=1, max_size=9), st.integers(1, 20))
def test_lengths_are_of_the_texts_and_no_longer_than_their_bound(texts: list[str], bound: int) -> None:
    lengths = Lengths.of(texts)
    assert 1 <= lengths.mean <= lengths.longest
    assert lengths.longest >= max(len(text) for text in texts) / 3
    assert sum(len(text.encode()) for text in texts) <= 3 * lengths.mean * len(texts)
    assert lengths.cut(None) == lengths
    assert lengths.cut(bound) == (min(lengths.mean, bound), min(lengths.longest, bound))


def test_known_lengths_of_targets_take_the_place_of_the_assumed_ones() -> None:
    settings = Settings.model_validate({"backbone": {"model": "7b"}})
    free, short, mixed = (
        plan(settings),
        plan(settings, targets=Lengths(50, 50)),
        plan(settings, targets=Lengths(50, 512)),
    )
    for one in (free, short, mixed):
        assert ("tokens are assumed" in one.text) == (one is free)
    for whole, brief, both in zip(free.parts, short.parts, mixed.parts, strict=True):
        assert both.bytes == whole.bytes > brief.bytes
        assert both.total_hours == brief.total_hours < whole.total_hours
    assert "hours are of targets of 50 tokens" in mixed.text


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_an_announced_run_has_the_length_of_its_targets(command: Any) -> None:
    settings = load(Settings, DEP)
    brief, long = (estimate(_Asked(settings, 3996, text), command) for text in ("很好" * 300, "abc" * 5000))  # type: ignore[arg-type]
    assert "600 tokens (600 at most)" in str(brief)
    assert "3,072 tokens (3,072 at most)" in str(long)  # where the settings cut them


def test_a_long_run_is_announced_in_one_line_and_a_short_one_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(Settings, DEP)
    for command, what in (("fit", "3,996 examples"), ("evaluate", "3,996 targets")):
        announce(command, shown=True)(_Asked(settings, 3996))  # type: ignore[arg-type]
        out, err = capsys.readouterr()
        assert not out
        assert len(err.splitlines()) == 1
        assert all(part in err for part in (what, " GB", "M tokens", " h ", "doctor --plan"))
    small = load(Settings, None, {"backbone": {"model": "sandbox"}, "fit": {"max_steps": 3}})
    announce("fit", shown=True)(_Asked(small, 40))  # type: ignore[arg-type]
    announce("fit", shown=False)(_Asked(settings, 3996))  # type: ignore[arg-type]
    monkeypatch.setenv("RANK", "1")
    announce("fit", shown=True)(_Asked(settings, 3996))  # type: ignore[arg-type]
    endpoint = {"backbone": {"backend": "openai", "endpoint": {"model": "m", "base_url": "http://127.0.0.1:9"}}}
    monkeypatch.delenv("RANK")
    announce("evaluate", shown=True)(_Asked(load(Settings, None, endpoint), 3996))  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", "")


def test_the_estimate_is_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    settings = load(Settings, DEP)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    def card(name: str, gigabytes: float) -> str:
        found = SimpleNamespace(name=name, total_memory=gigabytes * 1e9)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: found)
        return str(estimate(_Asked(settings, 3996, "abc" * 3072), "fit"))  # type: ignore[arg-type]

    assert "on NVIDIA H100 80GB HBM3: 51.7 GB, " in card("NVIDIA H100 80GB HBM3", 85)
    assert this_device(settings.backbone).teraflops == 989
    assert "batches are halved until they fit" in card("NVIDIA A100-SXM4-40GB", 42)
    assert this_device(settings.backbone)[2:] == (312, 1555, 300)
    card("NVIDIA GeForce RTX 4090", 25)
    assert this_device(settings.backbone).teraflops == 165
    assert "hours unknown" in card("Accelerator Z", 96)
    assert "CPU cores" in this_device(settings.backbone.model_copy(update={"device": "cpu"})).name
