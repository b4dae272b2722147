"""What every language model must do, whoever computes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.llm.loading import WorkersTokenLLM
from idiolect.prompts.rendering import render, with_soft

GREEDY = SamplingParams(temperature=0, max_new_tokens=6)
REFERENCES = ["Past words 3 and more", "New", "", "Past item and more and more and more"]


class HereWorkers:
    """Stands in for the actors of a cluster: tasks are pickled, and done one after the other in this process."""

    count = 2

    def __init__(self, llm):
        self.llm = llm

    def map(self, tasks):
        return (pickle.loads(pickle.dumps(task))(self.llm) for task in tasks)


@pytest.fixture(scope="module", params=["fake", "qwen2", "llama", "gpt2", "workers"])
def llm(request, tiny_llm):
    if request.param == "workers":
        return WorkersTokenLLM(HereWorkers(tiny_llm("qwen2", batch_size=3)), batch=1)
    return FakeLLM() if request.param == "fake" else tiny_llm(request.param, batch_size=3)


@pytest.fixture(scope="module")
def prompts(make_context):
    """Of mixed lengths, with and without soft prompt embeddings, the longest neither first nor last."""
    rng = np.random.default_rng(0)
    mixed = [
        render("dep", make_context(2)),
        render("rag", make_context(4)),
        render("nonpersonalized", make_context(0)),
        render("dep", make_context(1, no_diff=[0])),
    ]
    return [
        with_soft(p, rng.normal(size=(len(p.virtual_tokens), 32)).astype(np.float32)) if p.virtual_tokens else p
        for p in mixed
    ]


def texts(completions):
    return [completion.text for completion in completions]


class TestEveryLLM:
    def test_gives_one_completion_a_prompt_in_order(self, llm, prompts):
        forward = llm.generate(prompts, GREEDY)
        backward = llm.generate(prompts[::-1], GREEDY)
        assert len(forward) == len(prompts)
        assert texts(forward) == texts(backward)[::-1]
        assert [c.prompt_tokens for c in forward] == [c.prompt_tokens for c in backward][::-1]
        assert len({c.prompt_tokens for c in forward}) > 2

    def test_writes_the_same_alone_and_among_others(self, llm, prompts):
        assert texts(llm.generate(prompts, GREEDY)) == [llm.generate([p], GREEDY)[0].text for p in prompts]

    def test_scores_the_same_alone_and_among_others(self, llm, prompts):
        together = llm.negative_log_likelihood(prompts, REFERENCES)
        pairs = zip(prompts, REFERENCES, strict=True)
        alone = [llm.negative_log_likelihood([prompt], [reference])[0] for prompt, reference in pairs]
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
        assert together.dtype == np.float64
        assert together.shape == (4,)
        assert (together >= 0).all()

    def test_takes_an_empty_list(self, llm):
        assert llm.generate([], GREEDY) == []
        assert llm.negative_log_likelihood([], []).shape == (0,)

    def test_refuses_references_that_are_not_one_a_prompt(self, llm, prompts):
        with pytest.raises(ValueError, match="argument 2 is"):
            llm.negative_log_likelihood(prompts, REFERENCES[:2])

    def test_stops_at_the_token_limit(self, llm, prompts):
        for limit in (1, 3):
            found = llm.generate(prompts, GREEDY.model_copy(update={"max_new_tokens": limit}))
            assert all(c.completion_tokens <= limit for c in found)

    def test_says_which_answers_were_cut_off(self, llm, prompts):
        whole = llm.generate(prompts, GREEDY.model_copy(update={"max_new_tokens": 60}))
        short = llm.generate(prompts, GREEDY.model_copy(update={"max_new_tokens": 1}))
        assert [c.truncated for c in short] == [c.completion_tokens > 1 for c in whole]
        assert all(c.completion_tokens == 60 for c in whole if c.truncated)

    def test_repeats_itself_by_the_seed(self, llm, prompts):
        params = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=8, seed=3)
        assert texts(llm.generate(prompts, params)) == texts(llm.generate(prompts, params))

    def test_leaves_global_random_state_alone(self, llm, prompts):
        torch.manual_seed(11)
        wanted = torch.rand(3)
        torch.manual_seed(11)
        llm.generate(prompts[:2], SamplingParams(max_new_tokens=2))
        assert torch.equal(torch.rand(3), wanted)

    def test_reports_the_entries_it_saw(self, llm, prompts):
        assert [c.kept_entries for c in llm.generate(prompts, GREEDY)] == [(0, 1), (0, 1, 2, 3), (), (0,)]

    def test_has_a_name_and_supports_soft_prompts(self, llm):
        assert llm.name
        assert {"soft", "likelihood", "seed"} <= llm.supports

    def test_leaves_prompts_as_they_were(self, llm, prompts):
        before = [None if p.soft is None else p.soft.copy() for p in prompts]
        llm.generate([replace(p) for p in prompts], GREEDY)
        for prompt, soft in zip(prompts, before, strict=True):
            assert (prompt.soft is None) == (soft is None)
            if soft is not None:
                np.testing.assert_array_equal(prompt.soft, soft)
