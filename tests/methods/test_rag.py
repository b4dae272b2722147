from __future__ import annotations

from dataclasses import replace

from idiolect.llm.fake import FakeLLM
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.types import ItemId, Sample, UserId

SAMPLE = Sample(user=UserId("u"), item=ItemId("i"))


def contexts_of(context):
    class Contexts:
        def build(self, samples):
            return [replace(context, sample=sample) for sample in samples]

    return Contexts()


def test_rag_shows_the_retrieved_reviews_best_first_and_nonpersonalized_none(make_context):
    contexts = contexts_of(make_context(3))
    shown, bare = (cls(FakeLLM(), contexts).prompts([SAMPLE])[0].messages[1].text for cls in (RAG, NonPersonalized))
    places = [shown.index(f"Past words {k}") for k in range(3)]
    assert places == sorted(places)
    assert "Past" not in bare


def test_a_lazy_imitator_gives_back_the_best_review(make_context):
    (prediction,) = RAG(FakeLLM(), contexts_of(make_context(3, words=0))).generate([SAMPLE])
    assert prediction.text == "Past words 0"
    assert prediction.anchors == ("r0", "r1", "r2")


def test_the_recorded_prompt_is_what_reached_the_model(make_context):
    (prediction,) = RAG(FakeLLM(max_entries=2), contexts_of(make_context(3))).generate([SAMPLE])
    assert prediction.anchors == ("r0", "r1")
    shown = prediction.prompt
    assert "Past words 0" in shown
    assert "Past words 1" in shown
    assert "Past words 2" not in shown
    assert "New description" in shown
