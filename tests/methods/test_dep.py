from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from idiolect.errors import ArtifactError
from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.methods.dep import DEP
from idiolect.pipeline.results import read_outputs, sample_row
from idiolect.prompts.rendering import PromptConfig
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig
from idiolect.types import ItemId, Sample, UserId

SAMPLES = [Sample(user=UserId("u"), item=ItemId(f"i{n}")) for n in (2, 0, 3)]


class Recorder:
    """An adapter whose row says which vector, stream and entry it was made from."""

    def __init__(self):
        self.calls = []

    def soft_prompt_embeddings(self, vectors, stream, entry):
        self.calls.append((vectors, stream, entry))
        return np.stack([vectors[:, 0], stream, entry], axis=1).astype(np.float32)


@pytest.fixture
def contexts(make_context):
    """A sample of item ``i3`` has three entries, the second without a difference."""

    class Contexts:
        def build(self, samples):
            return [replace(make_context(int(s.item[1:]), no_diff=[1]), sample=s) for s in samples]

    return Contexts()


def test_every_virtual_token_is_filled_from_its_own_entrys_own_vector(contexts):
    recorder = Recorder()
    prompts = DEP(FakeLLM(), contexts, recorder).prompts(SAMPLES)
    for prompt in prompts:
        assert len(prompt.virtual_tokens) == (0 if prompt.soft is None else len(prompt.soft))
        for token, row in zip(prompt.virtual_tokens, [] if prompt.soft is None else prompt.soft, strict=True):
            sign, code = (1, 0) if token.stream == "his" else (-1, 1)
            assert row.tolist() == [sign * (token.entry + 1), code, token.entry]


def test_a_prediction_records_where_in_the_prompt_its_soft_prompts_stand(contexts, tmp_path):
    forged = "Voice: []"
    samples = [replace(SAMPLES[2], title=forged)]
    (written,) = DEP(FakeLLM(), contexts, Recorder()).generate(samples)
    assert forged in written.prompt
    label = {"his": "Voice: [", "diff": "Difference: ["}
    assert [stream for _, stream in written.virtual_tokens] == ["his", "diff", "his", "his", "diff"]
    for place, stream in written.virtual_tokens:
        assert written.prompt[:place].endswith(label[stream])
        assert written.prompt[place] == "]"
    path = tmp_path / "dep.jsonl"
    path.write_text(json.dumps(sample_row(written, None, user="u", item="i3", target=None, reference="r")))
    assert read_outputs(path)[0]["virtual_tokens"] == [list(one) for one in written.virtual_tokens]
    path.write_text(path.read_text().replace('"his"', '"other"'))
    with pytest.raises(ValueError, match="virtual_tokens"):
        read_outputs(path)


def test_all_rows_are_made_in_one_call(contexts):
    recorder = Recorder()
    DEP(FakeLLM(), contexts, recorder).prompts(SAMPLES)
    ((vectors, stream, entry),) = recorder.calls
    assert vectors.shape == (8, 12)
    assert vectors.dtype == np.float32
    assert stream.tolist() == [0, 1, 0, 0, 1, 0, 0, 1]
    assert entry.tolist() == [0, 0, 1, 0, 0, 1, 2, 2]


def test_an_adapter_is_not_asked_for_rows_of_users_without_history(contexts):
    recorder = Recorder()
    (prompt,) = DEP(FakeLLM(), contexts, recorder).prompts([SAMPLES[1]])
    assert prompt.soft is None
    assert recorder.calls == []


@pytest.mark.parametrize(("streams", "codes"), [("his", {0}), ("diff", {1})])
def test_only_the_prompts_streams_are_asked_for(contexts, streams, codes):
    recorder = Recorder()
    DEP(FakeLLM(), contexts, recorder, prompt=PromptConfig(streams=streams)).prompts(SAMPLES)
    assert {int(code) for _, stream, _ in recorder.calls for code in stream} == codes


def test_rows_are_those_of_a_real_adapter(contexts):
    adapter = Adapter(AdapterConfig(d_in=12, hidden_size=32), torch.Generator().manual_seed(0))
    prompt = DEP(FakeLLM(), contexts, adapter).prompts(SAMPLES)[0]
    vectors = np.outer([1, -1, 2], np.ones(12)).astype(np.float32)
    wanted = adapter.soft_prompt_embeddings(vectors, np.array([0, 1, 0]), np.array([0, 0, 1]))
    np.testing.assert_allclose(prompt.soft, wanted, rtol=1e-5, atol=1e-6)


def test_what_the_adapter_says_reaches_the_model(contexts, tiny_llm):
    class Constant:
        def __init__(self, value):
            self.value = value

        def soft_prompt_embeddings(self, vectors, stream, entry):
            return np.full((len(stream), 32), self.value, dtype=np.float32)

    llm = tiny_llm()
    nats = [llm.negative_log_likelihood(DEP(llm, contexts, Constant(v)).prompts(SAMPLES), ["Past"] * 3) for v in (0, 1)]
    assert (np.abs(nats[0] - nats[1]) > 1e-4).tolist() == [True, False, True]


def test_several_adapters_have_names_of_their_own(contexts):
    method = DEP(FakeLLM(), contexts, Recorder(), name="dep-constant", params=SamplingParams(max_new_tokens=3))
    assert {prediction.method for prediction in method.generate(SAMPLES)} == {"dep-constant"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [(lambda n: np.full((n, 3), np.nan), "not finite"), (lambda n: [][n], "does not fit")],
)
def test_an_adapter_that_gives_no_rows_for_these_vectors_is_one_line(contexts, rows, message):
    class Broken:
        def soft_prompt_embeddings(self, vectors, stream, entry):
            try:
                return rows(len(vectors))
            except IndexError:
                raise ValueError(f"{len(vectors)} virtual tokens need other vectors") from None

    with pytest.raises(ArtifactError, match=message):
        DEP(FakeLLM(), contexts, Broken()).prompts(SAMPLES)
