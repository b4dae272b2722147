from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.llm import transformers
from idiolect.llm.base import SamplingParams
from idiolect.llm.prompt_states import PromptInput, PromptStates
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.prompts.rendering import render, with_soft

FAMILIES = ("qwen2", "llama", "gpt2")
GREEDY = SamplingParams(temperature=0, max_new_tokens=8)
REFERENCE = "Past words and more"


def filled(prompt, seed=0, width=32):
    rows = np.random.default_rng(seed).normal(size=(len(prompt.virtual_tokens), width))
    return with_soft(prompt, rows.astype(np.float32))


@torch.no_grad()
def naive_input(llm, prompt):
    """(1, T, hidden): embeddings of the whole prompt with the soft prompt embeddings written in one by one."""
    encoded = llm.prompts.encode(prompt)
    embeds = llm.model.get_input_embeddings()(torch.from_numpy(encoded.ids).long())
    if prompt.soft is not None:
        for row, position in zip(encoded.virtual_token_indices, encoded.virtual_token_positions, strict=True):
            embeds[position] = torch.from_numpy(prompt.soft[row])
    return embeds[None]


@torch.no_grad()
def naive_nats(llm, prompt, reference):
    """Unpadded, no cache, logits everywhere."""
    target = torch.from_numpy(llm.prompts.encode_reference(reference)).long()
    start = naive_input(llm, prompt)
    embeds = torch.cat([start, llm.model.get_input_embeddings()(target)[None]], dim=1)
    logits = llm.model(inputs_embeds=embeds).logits[0]
    return F.cross_entropy(logits[start.shape[1] - 1 : -1], target, reduction="sum").item()


@torch.no_grad()
def naive_greedy(llm, prompt, limit):
    embeds, written = naive_input(llm, prompt), []
    while len(written) < limit and (not written or written[-1] not in llm.prompts.stop_ids):
        written.append(int(llm.model(inputs_embeds=embeds).logits[0, -1].argmax()))
        embeds = torch.cat([embeds, llm.model.get_input_embeddings()(torch.tensor([written[-1:]]))], dim=1)
    return written


@pytest.fixture(scope="module")
def prompts(make_context):
    return [
        filled(render("dep", make_context(3, no_diff=[1]))),
        render("rag", make_context(5)),
        filled(render("dep", make_context(1)), seed=1),
        render("nonpersonalized", make_context(0)),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_likelihood_is_that_of_a_plain_full_forward_pass(tiny_llm, prompts, family):
    llm = tiny_llm(family, batch_size=3)
    references = [REFERENCE, "New", REFERENCE * 5, ""]
    wanted = [naive_nats(llm, p, r) for p, r in zip(prompts, references, strict=True)]
    np.testing.assert_allclose(llm.negative_log_likelihood(prompts, references), wanted, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_text_is_that_of_a_plain_loop(tiny_llm, prompts, family):
    llm = tiny_llm(family)
    for prompt, completion in zip(prompts, llm.generate(prompts, GREEDY), strict=True):
        written = naive_greedy(llm, prompt, 8)
        assert completion.text == llm.prompts.decode(written)
        assert completion.completion_tokens == len(written)


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(temperature=1.0, max_new_tokens=12, seed=3)])
@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_those_of_the_librarys_own_generate(tiny_llm, prompts, family, params):
    ours, theirs = tiny_llm(family), tiny_llm(family)
    assert ours._decodes
    theirs._decodes, theirs._states = False, None
    found, expected = (llm.generate([*prompts, *prompts[::-1]], params) for llm in (ours, theirs))
    assert [(c.text, c.completion_tokens, c.truncated) for c in found] == [
        (c.text, c.completion_tokens, c.truncated) for c in expected
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_and_rows_one_by_one_say_the_same(tiny_llm, prompts, family):
    """On a CPU prompts are read one by one from the longest known beginning; on a GPU in batches."""
    rows, batches = tiny_llm(family), tiny_llm(family)
    batches._states = None
    for references in ([REFERENCE, "New", REFERENCE * 5, ""], ["New"] * 4):
        found, expected = (llm.negative_log_likelihood(prompts, references) for llm in (rows, batches))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    found, expected = (llm.generate(prompts, GREEDY) for llm in (rows, batches))
    assert [c.text for c in found] == [c.text for c in expected]


def test_a_known_beginning_is_not_computed_again_and_memory_is_bounded(tiny_llm, make_context):
    llm, computed = tiny_llm(), []
    forward = llm.model.forward

    def counted(*args, **kwargs):
        inputs = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        computed.append(inputs.shape[1])
        return forward(*args, **kwargs)

    llm.model.forward = counted
    dep = render("dep", make_context(2))
    own, other = filled(dep), filled(dep, seed=1)
    llm.negative_log_likelihood([own], [REFERENCE])
    length, target = len(llm.prompts.encode(own).ids), len(llm.prompts.encode_reference(REFERENCE))
    assert computed.pop() == length + target
    llm.generate([own], SamplingParams(temperature=0, max_new_tokens=1))
    assert computed == []
    llm.negative_log_likelihood([other], [REFERENCE])
    first = llm.prompts.encode(other).virtual_token_positions[0]
    assert computed.pop() == length + target - first // 16 * 16
    once = llm._states._used
    llm._states._max_bytes = once
    for prompt in (own, other, own):  # from the second on there is room for those of one call only
        llm.negative_log_likelihood([prompt], [REFERENCE])
        assert 0 < llm._states._used <= once
    tight, wanted = tiny_llm(), llm.negative_log_likelihood([own, other], [REFERENCE] * 2)
    tight._states._max_bytes = 1
    np.testing.assert_allclose(tight.negative_log_likelihood([own, other], [REFERENCE] * 2), wanted, rtol=1e-5)
    assert not tight._states._known


@torch.inference_mode()
def test_without_room_the_oldest_call_goes_first_and_what_is_mostly_known_is_not_kept(tiny_llm):
    states, target = PromptStates(tiny_llm().model), np.array([5, 6])

    def read(first, last=3):
        ids = np.append(np.arange(first, first + 40), last)
        states.new_call()
        states.nats(PromptInput(ids, np.zeros(0, np.int64), np.zeros((0, 1)), None), target)
        return states._used

    one = read(10)
    assert read(20) == 2 * one
    states._max_bytes = 2 * one
    assert read(30) == 2 * one
    assert {entry.call for entry in states._entries} == {2, 3}
    states._max_bytes = 10 * one
    assert read(30, last=4) == 2 * one


def test_rows_that_end_early_leave_the_others_as_they_are(tiny_llm, prompts):
    params = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=40, seed=5)
    llm = tiny_llm()
    llm.prompts.stop_ids = tuple(range(0, len(llm.prompts.tokenizer), 7))  # so that rows end at different places
    together = llm.generate(prompts, params)
    alone = [llm.generate([prompt], params)[0] for prompt in prompts]
    assert [c.text for c in together] == [c.text for c in alone]
    assert len({c.completion_tokens for c in together}) > 1


def test_an_answer_is_cut_off_where_nothing_ended_it(tiny_llm, prompts, monkeypatch):
    llm = tiny_llm()
    end, word = llm.prompts.end_id, llm.prompts.encode_reference("Past")[0]
    rows = torch.tensor([[word, word, end], [word, word, word], [end, end, end], [word, end, word]])
    monkeypatch.setattr(transformers, "decode", lambda *_, **__: rows.tolist())
    found = llm.generate([prompts[3]] * 4, GREEDY)
    assert [c.truncated for c in found] == [False, True, False, False]
    assert [c.completion_tokens for c in found] == [3, 3, 1, 2]


def test_records_are_kept_by_everything_an_answer_depends_on(tiny_llm):
    llm, same, shorter, coarse = tiny_llm(), tiny_llm(batch_size=3), tiny_llm(max_prompt_tokens=99), tiny_llm()
    coarse.model.to(torch.bfloat16)
    assert llm.identity == same.identity
    assert len({llm.identity, shorter.identity, coarse.identity, tiny_llm("llama").identity}) == 4


def test_a_model_without_logits_to_keep_or_positions_scores_the_same(tiny_llm, prompts):
    plain, full = tiny_llm("qwen2"), tiny_llm("qwen2")
    full._takes, full._states = set(), None
    expected = plain.negative_log_likelihood(prompts[:1], [REFERENCE])
    np.testing.assert_allclose(full.negative_log_likelihood(prompts[:1], [REFERENCE]), expected, rtol=1e-6)


def test_soft_prompt_embeddings_change_the_prompts_that_have_them_and_no_others(tiny_llm, prompts):
    llm = tiny_llm()
    changed = [filled(prompts[0], seed=9), *prompts[1:]]
    before, after = (llm.negative_log_likelihood(p, [REFERENCE] * 4) for p in (prompts, changed))
    assert abs(before[0] - after[0]) > 1e-3
    np.testing.assert_allclose(before[1:], after[1:], rtol=1e-5)


def test_each_virtual_token_gets_its_own_row(tiny_llm, prompts):
    llm = tiny_llm()
    swapped = with_soft(prompts[2], prompts[2].soft[::-1])
    nats = llm.negative_log_likelihood([prompts[2], swapped], [REFERENCE] * 2)
    assert abs(nats[0] - nats[1]) > 1e-3


def test_rows_of_dropped_entries_are_dropped(tiny_llm, make_context):
    whole = filled(render("dep", make_context(3)))
    roomy = tiny_llm()
    sizes = [len(roomy.prompts.encode(render("dep", make_context(n))).ids) for n in (2, 3)]
    tight = tiny_llm(max_prompt_tokens=sum(sizes) // 2)
    (completion,) = tight.generate([whole], GREEDY)
    assert completion.kept_entries == (0, 1)
    assert completion.prompt_tokens == sizes[0]
    shorter = with_soft(render("dep", make_context(2)), whole.soft[:4])
    np.testing.assert_allclose(
        tight.negative_log_likelihood([whole], [REFERENCE]),
        roomy.negative_log_likelihood([shorter], [REFERENCE]),
        rtol=1e-6,
    )


def test_a_prompt_longer_than_the_budget_is_refused(tiny_llm, make_context):
    with pytest.raises(InputError, match="the budget is 20"):
        tiny_llm(max_prompt_tokens=20).generate([render("rag", make_context(1))], GREEDY)


@pytest.mark.parametrize("shape", [(2, 16), (2, 64), (3, 32), (1, 32)])
def test_soft_prompt_embeddings_of_another_shape_are_refused(tiny_llm, make_context, shape):
    prompt = with_soft(render("dep", make_context(1)), np.zeros(shape, dtype=np.float32))
    with pytest.raises(ArtifactError, match=r"for 2 virtual tokens of a model of width 32.*fitted on this backbone"):
        tiny_llm().generate([prompt], GREEDY)
    with pytest.raises(ArtifactError, match="soft prompt embeddings of shape"):
        tiny_llm().negative_log_likelihood([prompt], [""])


def test_sampling_follows_seed_and_temperature(tiny_llm, prompts):
    llm = tiny_llm()

    def texts(**changes):
        params = SamplingParams(**{"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 12, **changes})
        return [completion.text for completion in llm.generate(prompts, params)]

    assert texts(seed=1) != texts(seed=2)
    assert texts(temperature=1e-5) == texts(temperature=0)
    assert texts(top_p=1e-6) == texts(temperature=0)


def test_a_sample_depends_on_its_prompt_and_seed_alone(tiny_llm, prompts):
    params = SamplingParams(temperature=1.0, top_p=0.9, max_new_tokens=12, seed=-1)
    together = [c.text for c in tiny_llm(batch_size=4).generate(prompts, params)]
    state = torch.get_rng_state()
    alone = [tiny_llm(batch_size=1).generate([prompt], params)[0].text for prompt in prompts[::-1]][::-1]
    assert together == alone
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(together)) == len(together)


def test_a_checkpoints_own_habits_do_not_count(tiny_llm, prompts):
    plain, own = tiny_llm(), tiny_llm()
    own.model.generation_config.repetition_penalty = 5.0
    own.model.generation_config.top_k = 1
    params = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=12, seed=1)
    for settings in (GREEDY, params):
        texts = [[c.text for c in llm.generate(prompts, settings)] for llm in (plain, own)]
        assert texts[0] == texts[1]


def test_generation_needs_no_gradient_and_no_training_mode(tiny_llm, prompts):
    llm = tiny_llm()
    assert not llm.model.training
    llm.generate(prompts[:1], GREEDY)
    assert all(p.grad is None for p in llm.model.parameters())


def test_progress_is_shown_on_request_only(tiny_llm, prompts, capsys, monkeypatch):
    monkeypatch.setattr("idiolect.progress.INTERVAL_S", 0.0)
    tiny_llm().generate(prompts[:1], GREEDY)
    assert capsys.readouterr() == ("", "")
    tiny_llm(progress=True).generate(prompts[:1], GREEDY)
    assert "generate" in capsys.readouterr().err


class TestLoading:
    @pytest.fixture
    def folder(self, tiny_llm, tmp_path):
        llm = tiny_llm("llama")
        llm.model.save_pretrained(tmp_path / "model")
        llm.prompts.tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    def test_a_folder_is_loaded_as_it_was_saved(self, tiny_llm, folder, prompts):
        loaded = TransformersLLM.load(BackboneConfig(model=str(folder), max_prompt_tokens=900, batch_size=2))
        assert loaded.name.startswith("model@")
        assert loaded.hidden_size == 32
        assert loaded.batch_size == 2
        assert loaded.prompts.max_tokens == 900
        references = [REFERENCE] * 4
        np.testing.assert_allclose(
            loaded.negative_log_likelihood(prompts, references),
            tiny_llm("llama").negative_log_likelihood(prompts, references),
            rtol=1e-5,
        )

    def test_without_a_budget_the_models_own_context_is_one(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
        assert TransformersLLM.load(BackboneConfig(model=str(folder))).prompts.max_tokens == 768
        shipped = TransformersLLM.load(BackboneConfig()).prompts
        assert shipped.history_tokens == 768 < shipped.max_tokens

    def test_other_weights_in_the_same_folder_have_another_name(self, tiny_llm, folder):
        config = BackboneConfig(model=str(folder))
        before, again = TransformersLLM.load(config).name, TransformersLLM.load(config).name
        tiny_llm("qwen2").model.save_pretrained(folder)
        assert before == again != TransformersLLM.load(config).name

    def test_the_asked_type_is_used(self, folder, prompts):
        loaded = TransformersLLM.load(BackboneConfig(model=str(folder), dtype="bfloat16", device="cpu"))
        assert loaded.model.dtype == torch.bfloat16
        assert np.isfinite(loaded.negative_log_likelihood(prompts[:1], [REFERENCE])).all()
        assert len(loaded.generate(prompts[:1], GREEDY)) == 1

    def test_a_folder_that_is_not_there_is_said_aloud(self, tmp_path):
        with pytest.raises(NotFoundError, match=r"cannot load the model .*hub name with the network on"):
            TransformersLLM.load(BackboneConfig(model=str(tmp_path / "nowhere")))

    def test_a_folder_without_a_model_is_said_aloud(self, tmp_path):
        (tmp_path / "notes.txt").write_text("no model here")
        with pytest.raises(NotFoundError, match="cannot load the model"):
            TransformersLLM.load(BackboneConfig(model=str(tmp_path)))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_texts_and_likelihoods_are_the_same_in_smaller_parts_when_memory_runs_out(tiny_llm, prompts, caplog, rows):
    whole, parts = tiny_llm("qwen2", batch_size=4), tiny_llm("qwen2", batch_size=4)
    parts._states = None  # as on a GPU, where rows are computed together
    forward, most = parts.model.forward, []

    def limited(*args, input_ids=None, inputs_embeds=None, **more):
        n = len(input_ids if inputs_embeds is None else inputs_embeds)
        if n > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        most.append(n)
        return forward(*args, input_ids=input_ids, inputs_embeds=inputs_embeds, **more)

    parts.model.forward = limited
    same = [prompts[0], prompts[2]] * 2  # of one kind, so that they are one batch
    references = [REFERENCE, "New", REFERENCE * 5, ""]
    wanted = whole.negative_log_likelihood(same, references)
    np.testing.assert_allclose(parts.negative_log_likelihood(same, references), wanted, rtol=1e-4)
    drawn = SamplingParams(temperature=0.8, max_new_tokens=8, seed=3)
    for params in (GREEDY, drawn):
        texts = [one.text for one in whole.generate(same, params)]
        assert [one.text for one in parts.generate(same, params)] == texts
    assert max(most) <= rows
    assert "of 4 rows at once: 2 from now on" in caplog.text


def test_a_single_row_without_memory_is_one_clear_error(tiny_llm, prompts):
    llm = tiny_llm("qwen2", batch_size=2)
    llm._states = None

    def full(*args, **more):
        raise RuntimeError("CUDA error: out of memory")

    llm.model.forward = full
    with pytest.raises(ConfigError, match="no memory for likelihoods of even one row"):
        llm.negative_log_likelihood(prompts[:1], [REFERENCE])
    with pytest.raises(ConfigError, match="no memory for generation of even one row"):
        llm.generate(prompts[:1], GREEDY)
