"""Texts of the model in this process arrive while they are generated, and end when nobody waits for them."""

import json
import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("prometheus_client")

from idiolect.llm.base import Usage
from idiolect.llm.fake import FakeLLM
from idiolect.server.personalization import Answer, AnswerError, Personalization
from idiolect.server.streaming import Pieces, stopped

ASK = [{"role": "user", "content": "Write a few words about tea."}]
WORDS = [f"w{n}" for n in range(400)]


@pytest.fixture(scope="module")
def own(start, tmp_path_factory):
    """A server without an upstream: the shipped toy answers."""
    with ExitStack() as stack:
        running = stack.enter_context(start(tmp_path_factory.mktemp("own"), burst=5000, min_peers=1))
        reviews = [
            {"user": user, "item": f"i{n}", "text": f"{said} Number {n}."}
            for user, said in (("ann", "Wow! I love it!"), ("bob", "It was fine, I suppose."))
            for n in range(4)
        ]
        with running.http() as http:
            assert http.post("/v1/reviews/batch", json={"reviews": reviews}).status_code == 200
        yield running


def texts(stream):
    """The text of every choice, and the pieces."""
    found, pieces = {}, []
    for chunk in stream:
        for choice in chunk.choices:
            piece = choice.delta.content or ""
            found[choice.index] = found.get(choice.index, "") + piece
            pieces.append(piece)
    return found, [piece for piece in pieces if piece]


@pytest.mark.parametrize("model", ["idiolect/dep/ann", "idiolect/rag/ann", "idiolect/rag/nobody"])
@pytest.mark.parametrize("stop", [None, ["e"], ["the", " a", "it "]])
def test_a_streamed_text_is_the_whole_one(own, model, stop):
    ask = {"model": model, "messages": ASK, "seed": 5, "temperature": 0.8, "max_tokens": 40, "n": 2}
    ask |= {"stop": stop} if stop else {}
    client = own.client()
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    found, pieces = texts(chunks)
    assert found == {choice.index: choice.message.content for choice in whole.choices}
    assert len(pieces) > (2 if stop is None else 0)
    ends = {c.index: c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason}
    assert ends == {choice.index: choice.finish_reason for choice in whole.choices}
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    last = chunks[-1].idiolect
    assert (last["evidence"], last["method"]) == (whole.idiolect["evidence"], whole.idiolect["method"])
    assert last["cost"] == whole.idiolect["cost"]
    if stop:
        assert not any(one in text for one in stop for text in found.values())


def test_what_is_known_only_at_the_end_comes_without_usage_too(own):
    ask = {"model": "idiolect/dep/ann", "messages": ASK, "max_tokens": 8, "stream": True}
    chunks = list(own.client().chat.completions.create(**ask))
    told = [chunk.idiolect for chunk in chunks if getattr(chunk, "idiolect", None)]
    assert told[0]["method"] == "dep"
    assert told[-1]["evidence"]
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_a_response_is_streamed_too(own):
    ask = {"model": "idiolect/dep/ann", "input": "About tea.", "temperature": 0, "max_output_tokens": 30}
    client = own.client()
    with client.responses.stream(**ask) as stream:
        events = list(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    final = events[-1].response
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert len(deltas) > 2
    assert "".join(deltas) == final.output[0].content[0].text == client.responses.create(**ask).output_text
    assert final.usage.output_tokens


class Slow(FakeLLM):
    """Goes on until it is told to stop, and says a word only once the one before was read."""

    def __init__(self):
        super().__init__(lambda _: " ".join(WORDS))
        self.read, self.ended, self.words = threading.Semaphore(0), threading.Event(), 0

    def stream_text(self, prompt, params, listener):
        def heard(text):
            self.words += 1
            assert self.read.acquire(timeout=60)
            return listener(text)

        try:
            return super().stream_text(prompt, params, heard)
        finally:
            self.ended.set()


@pytest.fixture
def slow(start, tmp_path, monkeypatch):
    llm = Slow()
    monkeypatch.setattr(FakeLLM, "load", classmethod(lambda *_, **__: llm))
    with start(tmp_path, settings={"backbone": {"model": "fake"}}) as running:
        yield running, llm


def test_a_piece_arrives_before_the_next_is_written_and_a_client_that_leaves_ends_the_text(slow):
    running, llm = slow
    body = {"model": "idiolect/nonpersonalized", "messages": ASK, "stream": True, "max_tokens": 300}
    llm.read.release()  # the response begins with the first word
    with running.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines, seen = answer.iter_lines(), ""
        for n in range(3):
            if n:
                llm.read.release()
            while WORDS[n] not in seen:
                line = next(lines)
                if line.startswith("data: "):
                    seen += json.loads(line[6:])["choices"][0]["delta"].get("content", "")
            assert llm.words <= n + 2
    for _ in range(280):
        llm.read.release()
        if llm.ended.wait(0.1):
            break
    assert llm.ended.is_set()
    assert llm.words < 290


def test_an_error_before_the_first_word_has_a_status_and_a_later_one_is_an_event(start, tmp_path, monkeypatch):
    class Fails(FakeLLM):
        words = ()

        def stream_text(self, prompt, params, listener):
            for word in self.words:
                listener(word)
            raise RuntimeError("a secret of the model")

    llm = Fails()
    monkeypatch.setattr(FakeLLM, "load", classmethod(lambda *_, **__: llm))
    with start(tmp_path, settings={"backbone": {"model": "fake"}}) as running, running.http() as http:
        body = {"model": "idiolect/nonpersonalized", "messages": ASK, "stream": True}
        refused = http.post("/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "internal_error")
        llm.words = ("one",)
        broken = http.post("/v1/chat/completions", json=body)
        assert broken.status_code == 200
        assert "one" in broken.text
        assert "internal_error" in broken.text
        assert "[DONE]" not in broken.text
        assert "secret" not in refused.text + broken.text


def answer(text, truncated=False):
    return Answer(text=text, truncated=truncated, usage=Usage(), model="m", how=Personalization())


@given(
    st.text("abc ", max_size=30),
    st.lists(st.text("abc ", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 5), min_size=1),
)
def test_pieces_add_up_to_the_stopped_text(text, stops, sizes):
    taken, at = [], 0
    pieces = Pieces(stops, taken.append)
    for size in sizes:
        at = min(len(text), at + size)
        if not pieces(text[:at]):
            text = text[:at]
            break
    assert pieces.finish(answer(text)).text == "".join(taken) == stopped(text, stops)


def test_what_is_cut_at_a_stop_string_is_not_too_long_and_what_was_thinking_is_an_error():
    assert not Pieces(["b"]).finish(answer("abc", truncated=True)).truncated
    assert Pieces(["d"]).finish(answer("abc", truncated=True)).truncated
    pieces = Pieces([], lambda _: None)
    assert pieces("So I think")
    with pytest.raises(AnswerError, match="thinking"):
        pieces.finish(answer("Good tea."))
    pieces.cancelled = True
    assert not pieces("So I think more")


@pytest.mark.parametrize(
    "voice",
    [
        {"method": "nonpersonalized", "item": "i1", "rating": 4},
        {"method": "dep", "item": "i1", "units": {str(unit): 0 for unit in range(48)}},
        {"method": "rag", "item": "i1", "corrections": False},
    ],
)
def test_what_the_page_writes_to_compare_with_arrives_in_pieces_too(own, voice):
    ask = {"messages": ASK, "seed": 5, "max_tokens": 30, "model": "idiolect/auto"}
    ask["extra_body"] = {"idiolect": {"user": "ann", **voice}}
    client = own.client()
    whole = client.chat.completions.create(**ask)
    found, pieces = texts(chunks := list(client.chat.completions.create(**ask, stream=True)))
    assert found[0] == whole.choices[0].message.content
    assert len(pieces) > 2
    told = [chunk.idiolect for chunk in chunks if getattr(chunk, "idiolect", None)][-1]
    assert (told["method"], told["personalized"]) == (voice["method"], voice["method"] != "nonpersonalized")
    with own.http() as http:
        body = {"user": "ann", "seed": 5, "max_tokens": 30, **voice}
        assert http.post("/v1/write", json=body).json()["text"] == found[0].strip()
