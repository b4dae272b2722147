"""Prompts through vLLM: what is sent to an engine, and, where vLLM is installed, the same tokens as transformers."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from idiolect.errors import ArtifactError, ConfigError, MissingDependencyError
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig, load_llm
from idiolect.llm.vllm import InputEmbeddings, VllmLLM
from idiolect.prompts.rendering import render, with_soft

GREEDY = SamplingParams(temperature=0, max_new_tokens=8)
INSTALLED = importlib.util.find_spec("vllm") is not None


@dataclass
class Engine:
    """Takes what ``vllm.LLM`` takes and answers with the same tokens."""

    tokens: list[int]
    asked: list[dict[str, Any]] = field(default_factory=list)
    params: Any = None
    llm_engine: Any = field(default_factory=lambda: SimpleNamespace(model_config=SimpleNamespace(dtype=torch.bfloat16)))

    def generate(self, prompts: list[dict[str, Any]], params: Any, *, use_tqdm: bool) -> list[Any]:
        self.asked, self.params = prompts, params
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.tokens)]) for _ in prompts]


@pytest.fixture
def behind(tiny_llm, tiny_tokenizer):
    """A backend over the weights of a tiny model, and the same model in transformers."""

    def make(tokens: list[int]) -> tuple[VllmLLM, Any]:
        local = tiny_llm("qwen2")
        table = InputEmbeddings(local.model.get_input_embeddings().weight.detach())
        return VllmLLM(Engine(tokens), tiny_tokenizer, lambda: table, sampling=SimpleNamespace, name="m"), local

    return make


def filled(prompt, width):
    rows = np.random.default_rng(0).normal(size=(len(prompt.virtual_tokens), width))
    return with_soft(prompt, rows.astype(np.float32))


def test_virtual_tokens_travel_as_embeddings_and_plain_prompts_as_ids(behind, make_context):
    llm, local = behind([1])
    soft, plain = filled(render("dep", make_context(2)), 32), render("rag", make_context(2))
    llm.generate([soft, plain], GREEDY)
    encoded = local.prompts.encode(soft)
    expected = local._inputs([encoded], [soft.soft]).inputs["inputs_embeds"][0]
    assert torch.equal(llm.engine.asked[0]["prompt_embeds"], expected.to(torch.bfloat16))
    assert llm.engine.asked[1] == {"prompt_token_ids": local.prompts.encode(plain).ids.tolist()}


def test_an_answer_ends_at_the_first_token_that_ends_a_turn(behind, make_context, tiny_tokenizer):
    ids = tiny_tokenizer("Past words", add_special_tokens=False)["input_ids"]
    llm, _ = behind([])
    prompt = render("rag", make_context(1))
    llm.engine.tokens = [*ids, llm.prompts.end_id]
    done = llm.generate([prompt], GREEDY)[0]
    assert (done.text, done.completion_tokens, done.truncated) == ("Past words", len(ids) + 1, False)
    llm.engine.tokens = ids
    cut = llm.generate([prompt], GREEDY)[0]
    assert (cut.text, cut.completion_tokens, cut.truncated) == ("Past words", len(ids), True)


def test_sampling_is_what_the_parameters_say(behind, make_context):
    llm, _ = behind([1])
    llm.generate([render("rag", make_context(1))], SamplingParams(temperature=0.7, top_p=0.9, max_new_tokens=5, seed=3))
    asked = llm.engine.params
    assert (asked.temperature, asked.top_p, asked.max_tokens, asked.seed) == (0.7, 0.9, 5, 3)
    assert set(asked.stop_token_ids) == set(llm.prompts.stop_ids)


def test_no_prompts_ask_nothing(behind):
    llm, _ = behind([1])
    assert llm.generate([], GREEDY) == []


def test_what_it_cannot_do_is_said(behind, make_context):
    llm, _ = behind([1])
    prompt = render("dep", make_context(1))
    with pytest.raises(ArtifactError, match="width 32"):
        llm.generate([filled(prompt, 16)], GREEDY)
    with pytest.raises(ConfigError, match="schema"):
        llm.generate([prompt], GREEDY, schema={})
    with pytest.raises(ConfigError, match="likelihood"):
        llm.negative_log_likelihood([prompt], ["x"])
    assert "likelihood" not in llm.supports


def test_records_tell_its_settings_apart(tiny_tokenizer):
    def identity(**settings: Any) -> str:
        table = InputEmbeddings(torch.zeros(1, 1))
        return VllmLLM(Engine([]), tiny_tokenizer, lambda: table, sampling=dict, name="m", settings=settings).identity

    assert identity() != identity(quantization="fp8")
    assert identity(a=1, b=2) == identity(b=2, a=1)


@pytest.mark.parametrize("family", ["qwen2", "llama", "gpt2"])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_table_is_read_out_of_a_checkpoint_of_any_layout(tiny_llm, tmp_path, family, parts):
    model = tiny_llm(family).model
    size = sum(weight.nbytes for weight in model.parameters())
    model.save_pretrained(tmp_path, max_shard_size=size // parts + 1)
    table = InputEmbeddings.load(str(tmp_path))
    ids = np.array([3, 1, 2])
    found = table.embed(ids, np.array([], dtype=np.int64), np.zeros((0, table.hidden_size)))
    assert torch.equal(found, model.get_input_embeddings()(torch.from_numpy(ids)))


def test_a_model_that_scales_its_embeddings_is_refused_at_soft_prompts_alone(tmp_path, tiny_tokenizer, make_context):
    import transformers as tf

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    tf.Gemma3TextConfig(**small, vocab_size=8, num_key_value_heads=1, head_dim=16).save_pretrained(tmp_path)
    loads = partial(InputEmbeddings.load, str(tmp_path))
    llm = VllmLLM(Engine([1]), tiny_tokenizer, loads, sampling=SimpleNamespace, name="m")
    assert len(llm.generate([render("rag", make_context(1))], GREEDY)) == 1
    with pytest.raises(ArtifactError, match="scales"):
        llm.generate([filled(render("dep", make_context(1)), 16)], GREEDY)
    with pytest.raises(ArtifactError, match="scales"):
        assert llm.hidden_size


def test_settings_of_the_engine_need_the_engine():
    with pytest.raises(ValueError, match="vllm"):
        BackboneConfig(engine={"enforce_eager": True})
    assert BackboneConfig(backend="vllm", engine={"enforce_eager": True}).engine


@pytest.mark.skipif(INSTALLED, reason="vLLM is installed")
def test_without_vllm_the_line_that_installs_it_is_named():
    with pytest.raises(MissingDependencyError, match=r"idiolect\[vllm\]"):
        load_llm(BackboneConfig(backend="vllm"))


@pytest.mark.skipif(not INSTALLED, reason="vLLM is not installed")
@pytest.mark.filterwarnings("default")
def test_vllm_writes_the_tokens_that_transformers_writes(make_context, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    local = load_llm(BackboneConfig(device="cpu", batch_size=1))
    prompts = [
        filled(render("dep", make_context(3, no_diff=[1])), local.hidden_size),
        render("rag", make_context(4)),
        filled(render("dep", make_context(1)), local.hidden_size),
        render("nonpersonalized", make_context(0)),
    ]
    params = SamplingParams(temperature=0, max_new_tokens=24)
    engine = {"enforce_eager": True, "max_model_len": 1024}
    with load_llm(BackboneConfig(backend="vllm", dtype="float32", engine=engine)) as llm:
        found = llm.generate(prompts, params)
        assert llm.name == local.name
        assert json.loads(llm.identity)["dtype"] == "torch.float32"
    wanted = local.generate(prompts, params)
    assert [(c.text, c.prompt_tokens, c.completion_tokens) for c in found] == [
        (c.text, c.prompt_tokens, c.completion_tokens) for c in wanted
    ]
