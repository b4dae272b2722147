"""What every method must do, whatever it shows the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from idiolect.context import PastVectors
from idiolect.errors import ConfigError
from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM, fingerprint
from idiolect.methods.base import METHODS
from idiolect.methods.dep import DEP
from idiolect.methods.dpl import DPL
from idiolect.methods.drp import DRP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.pag import PAG
from idiolect.methods.pplug import PPlug
from idiolect.methods.rag import RAG
from idiolect.methods.roles import Roles
from idiolect.softprompt.config import PPlugConfig
from idiolect.types import ItemId, Sample, UserId

PARAMS = SamplingParams(temperature=0, max_new_tokens=5)
SAMPLES = [Sample(user=UserId("u"), item=ItemId(f"i{n}"), rating=float(n), reference="Past") for n in (2, 0, 4, 1)]


class Rows:
    """An adapter for models of width 32."""

    def soft_prompt_embeddings(self, vectors, stream, entry):
        return np.outer(vectors[:, 0] + stream + entry, np.ones(32)).astype(np.float32)


class UserRows:
    """PPlug's adapter for models of width 32."""

    config = PPlugConfig(d_in=12, hidden_size=32, input_encoder="encoder", past_texts=2)

    def embeddings(self, inputs):
        return [np.outer(one.stream + len(one.history), np.ones(32)).astype(np.float32) for one in inputs]


class NoCases:
    """Nobody can be compared with anybody."""

    def build(self, samples):
        return [()] * len(samples)


BUILD = {
    "nonpersonalized": NonPersonalized,
    "rag": RAG,
    "dep": lambda llm, contexts, **options: DEP(llm, contexts, Rows(), **options),
    "pplug": lambda llm, contexts, **options: PPlug(llm, contexts, UserRows(), **options),
    "pag": lambda llm, contexts, params: PAG(Roles.writing(llm, params), contexts),
    "dpl": lambda llm, contexts, params: DPL(Roles.writing(llm, params), contexts, NoCases()),
    "drp": lambda llm, contexts, params: DRP(Roles.writing(llm, params), contexts, NoCases()),
}


@pytest.fixture(scope="module")
def contexts(make_context):
    """A sample of item ``i3`` has three entries, the second without a difference."""

    class Contexts:
        def build(self, samples):
            return [self.one(s) for s in samples]

        def one(self, sample):
            made = make_context(int(sample.item[1:]), no_diff=[1])
            entries = made.entries[::-1]
            vectors = np.stack([entry.e_his for entry in entries]) if entries else np.zeros((0, 0), np.float32)
            past = PastVectors(reviews=tuple(entry.review.id for entry in entries), vectors=vectors)
            return replace(made, sample=sample, past=past)

    return Contexts()


@pytest.fixture(params=sorted(BUILD))
def build(request, contexts):
    return lambda llm, **options: BUILD[request.param](llm, contexts, params=PARAMS, **options)


@pytest.fixture(params=["fake", "qwen2"])
def llm(request, tiny_llm):
    return FakeLLM() if request.param == "fake" else tiny_llm(request.param, batch_size=3)


class TestEveryMethod:
    def test_writes_every_sample_in_order(self, build, llm):
        method = build(llm)
        found = method.generate(SAMPLES)
        assert [prediction.sample for prediction in found] == SAMPLES
        assert {prediction.method for prediction in found} == {method.name}
        assert all(prediction.prompt_tokens > 0 for prediction in found)
        assert all(prediction.completion_tokens <= 5 for prediction in found)
        for prediction in found:
            assert sum(took.calls for took in prediction.usage.values()) == 1
            assert sum(took.prompt_tokens for took in prediction.usage.values()) == prediction.prompt_tokens

    def test_writes_a_sample_the_same_alone_and_among_others(self, build, llm):
        method = build(llm)
        together = [prediction.text for prediction in method.generate(SAMPLES)]
        assert together == [method.generate([sample])[0].text for sample in SAMPLES]

    def test_sends_what_prompts_shows(self, build):
        llm = FakeLLM()
        method = build(llm)
        found = method.generate(SAMPLES)
        wanted = [fingerprint(prompt) for prompt in method.prompts(SAMPLES)]
        assert [fingerprint(prompt) for prompt in llm.seen] == wanted
        assert len(llm.seen) == len(SAMPLES)
        for prompt, prediction in zip(llm.seen, found, strict=True):
            assert all(message.text in prediction.prompt for message in prompt.messages)

    def test_names_the_reviews_that_reached_the_model(self, build):
        method = build(FakeLLM(max_entries=2))
        anchors = [prediction.anchors for prediction in method.generate(SAMPLES)]
        if method.name == "nonpersonalized":
            assert anchors == [()] * 4
        elif method.name == "pplug":
            assert anchors == [("r0", "r1"), (), ("r0", "r1", "r2", "r3"), ("r0",)]
        else:
            assert anchors == [("r0", "r1"), (), ("r0", "r1"), ("r0",)]

    def test_names_only_what_fitted_the_budget(self, build, tiny_llm):
        method = build(tiny_llm())
        sizes = [p.prompt_tokens for p in method.generate([SAMPLES[1], SAMPLES[0]])]
        tight = build(tiny_llm(max_prompt_tokens=max(sizes) - 1 if method.name != "nonpersonalized" else max(sizes)))
        found = tight.generate([SAMPLES[0]])[0]
        expected = {"nonpersonalized": (), "pplug": ("r0", "r1")}  # pplug reads the vectors of what does not fit
        assert found.anchors == expected.get(method.name, ("r0",))

    def test_takes_no_samples_at_all(self, build, llm):
        assert build(llm).generate([]) == []
        assert build(llm).prompts([]) == []

    def test_never_shows_the_reference(self, build):
        method = build(FakeLLM())
        secret = replace(SAMPLES[0], reference="unheard-of words")
        assert "unheard-of" not in method.generate([secret])[0].prompt

    def test_is_refused_a_model_that_cannot_do_what_it_needs(self, build):
        class Weak(FakeLLM):
            supports = frozenset()
            name = "weak"

        if not build(FakeLLM()).requires.llm:
            assert build(Weak()).generate(SAMPLES)
            return
        with pytest.raises(ConfigError, match=r"(dep|pplug) needs soft, which weak does not support"):
            build(Weak())


def test_only_methods_with_an_adapter_need_soft_prompts():
    needs = {name: METHODS.get(name).requires for name in METHODS}
    assert {name for name, one in needs.items() if one.llm} == {"dep", "pplug"}
    assert {name: one.adapter for name, one in needs.items() if one.adapter} == {"dep": "dep", "pplug": "pplug"}
