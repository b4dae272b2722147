"""A user is studied once, and a wrong user brings everything of theirs but the item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from idiolect.config import build
from idiolect.encoders import load_encoder
from idiolect.errors import InputError
from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.methods.base import DEFAULT_METHODS
from idiolect.methods.controls import Memoized, Profiled, WrongUsers
from idiolect.methods.stages import ProfileState
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import DifferenceConfig, Settings
from idiolect.store.sql import SqlStore
from idiolect.types import Sample

PARAMS = SamplingParams(temperature=0, max_new_tokens=20)


def answer(prompt: Any) -> str:
    """As S would, in words that tell who is described; as G would."""
    describes = prompt.messages[0].text.startswith("You describe")
    return f"[Summary]: {'/'.join(sorted(prompt.sources))}" if describes else "[Review]: Fine."


@pytest.fixture(scope="module")
def data(job: Any):
    settings = build(Settings, {**job.settings, "encoder": "hash:48"}, where="test")
    with SqlStore(job.store, create=False) as store:
        yield Data(store, job.split, settings, encoder=load_encoder("hash:48"))


@pytest.fixture(scope="module")
def samples(data: Data) -> list[Sample]:
    return data.samples("test")


def made(data: Data, llm: FakeLLM, name: str, **config: Any) -> Any:
    asked = build(DifferenceConfig, {"comparison": {"representatives": 2, "anchors": 3}, **config}, where="test")
    with Models(llm, PARAMS) as models:
        settings = Settings(differences=asked)
        return MethodBuilder(settings, models, data.snapshot("test"), data.text_encoder).build(
            name, data.contexts("test")
        )


@pytest.mark.parametrize("name", DEFAULT_METHODS)
def test_likelihoods_texts_and_control_cost_one_study_of_the_users(data: Data, samples, name: str) -> None:
    llm = FakeLLM(answer)
    method = made(data, llm, name, summarizer={}, extractor={})
    own = Memoized(method.states)
    right = Profiled(method=method, states=own)
    wrong = Profiled(method=method, states=WrongUsers(own, seed=0))
    right.prompts(samples)
    studied = len(llm.seen)
    right.generate(samples)
    wrong.prompts(samples)
    assert len(llm.seen) == studied + len(samples)


@pytest.mark.parametrize("name", DEFAULT_METHODS)
def test_from_its_own_states_it_writes_what_the_method_writes(data: Data, samples, name: str) -> None:
    method = made(data, FakeLLM(answer), name, summarizer={})
    profiled = Profiled(method=method, states=Memoized(method.states))
    assert [p.messages for p in profiled.prompts(samples)] == [p.messages for p in method.prompts(samples)]
    assert profiled.generate(samples) == method.generate(samples)


@pytest.mark.parametrize("name", DEFAULT_METHODS)
def test_a_wrong_user_brings_history_comparisons_and_profile_but_not_the_item(data: Data, samples, name: str) -> None:
    method = made(data, FakeLLM(answer), name, summarizer={})
    own = Memoized(method.states)
    by_profile = {state.profile: state.context.sample.user for state in own(samples)}
    for right, wrong in zip(own(samples), WrongUsers(own, seed=0)(samples), strict=True):
        assert wrong.context.sample == right.context.sample
        assert wrong.context.item == right.context.item
        assert by_profile[wrong.profile] != right.context.sample.user
        strangers = {entry.review.user for entry in wrong.context.entries}
        strangers |= {comparison.own.user for comparison in wrong.comparisons}
        assert strangers == {by_profile[wrong.profile]}
        assert right.context.sample.user not in strangers


def test_what_a_stranger_brings_is_not_paid_twice(data: Data, samples) -> None:
    own = Memoized(made(data, FakeLLM(answer), "drp", summarizer={}).states)
    lent = [state.usage["summarize"] for state in WrongUsers(own, seed=0)(samples)]
    assert all(usage.cached == usage.calls for usage in lent)
    assert all(usage.spent == 0 for usage in lent)


def test_other_samples_are_studied_anew(data: Data, samples) -> None:
    asked: list[Sequence[Sample]] = []

    def study(some: Sequence[Sample]) -> list[ProfileState]:
        asked.append(some)
        return made(data, FakeLLM(answer), "pag").states(some)

    own = Memoized(study)
    assert own(samples) is own(list(samples))
    assert [p.context.sample for p in own(samples[:1])] == samples[:1]
    assert len(asked) == 2


def test_one_user_alone_has_no_stranger(data: Data, samples) -> None:
    own = Memoized(made(data, FakeLLM(answer), "pag").states)
    with pytest.raises(InputError, match="two users"):
        WrongUsers(own, seed=0)(samples[:1])


def test_the_review_whose_title_is_shown_is_among_the_sources(data: Data, samples) -> None:
    profiled = made(data, FakeLLM(answer), "drp")
    assert all(sample.target in p.sources for sample, p in zip(samples, profiled.prompts(samples), strict=True))
