from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from idiolect.errors import ArtifactError
from idiolect.llm.base import Completion, Failure
from idiolect.llm.cache import Cache, Record

FULL = Completion(
    text='naïve — “text” "quoted" 😀 \x00 \\u0000 \n',
    prompt_tokens=3,
    completion_tokens=4,
    kept_entries=(0, 2),
    seconds=0.25,
    thinking="hm",
    thinking_tokens=1,
    truncated=True,
    failure=Failure(kind="unfinished_thinking", message="more"),
    requests=2,
    cost=0.5,
    cached=True,
)


def answer(text):
    return Completion(text=text, prompt_tokens=1, completion_tokens=1)


def record(key, *reviews, text="t"):
    return Record(key, answer(text), frozenset(reviews))


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "deep" / "cache.db") as opened:
        yield opened


def test_an_answer_comes_back_as_it_was(cache):
    cache.put([Record("k", FULL, frozenset())])
    assert cache.get(["k", "other"]) == {"k": FULL}


def test_the_first_answer_stays_and_the_second_writer_gets_it(cache):
    assert cache.put([record("k", text="first")]) == {}
    told = cache.put([record("k", text="second"), record("new")])
    assert told["k"].text == cache.get(["k"])["k"].text == "first"
    assert len(cache) == 2


def test_any_number_of_keys_can_be_asked_for(cache):
    cache.put([record(str(k)) for k in range(2000)])
    assert len(cache.get(str(k) for k in range(100_000))) == 2000


def test_what_was_put_is_there_after_the_file_is_opened_again(tmp_path):
    with Cache(tmp_path / "c.db") as cache:
        cache.put([record("k")])
    with Cache(tmp_path / "c.db") as cache:
        assert len(cache) == 1


def test_forgetting_a_review_erases_every_answer_made_from_it_and_no_other(cache):
    cache.put([record("a", "r1", "r2"), record("b", "r2"), record("c", "r3"), record("d")])
    assert cache.forget_reviews(["r2", "unknown"]) == 2
    assert set(cache.get("abcd")) == {"c", "d"}
    assert cache.forget_reviews(["r2"]) == 0


def test_an_answer_can_be_linked_to_further_reviews(cache):
    cache.put([record("a", "r1"), record("b", "r1")])
    cache.link([("a", frozenset({"r2"})), ("unknown", frozenset({"r2"}))])
    assert cache.forget_reviews(["r2"]) == 1
    assert set(cache.get("ab")) == {"b"}


def test_nothing_of_what_was_forgotten_stays_in_the_files(cache):
    cache.put([record("k", "review-of-somebody", text="unmistakable words" * 500)])
    cache.forget_reviews(["review-of-somebody"])
    left = b"".join(path.read_bytes() for path in cache.path.parent.iterdir())
    assert b"unmistakable" not in left
    assert b"somebody" not in left


def test_a_group_is_recorded_whole_or_not_at_all(cache):
    with pytest.raises(ArtifactError, match="cannot be written"):
        cache.put([record("a"), Record(None, answer("t"), frozenset())])
    assert len(cache) == 0


def test_a_file_that_is_no_cache_is_refused_and_left_as_it_was(tmp_path):
    text, other, later = tmp_path / "text", tmp_path / "other.db", tmp_path / "later.db"
    text.write_text("not a database, but long enough to be looked at as one" * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    Cache(later).close()
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    before = other.read_bytes()
    for path, reason in (
        (text, "cannot be opened"),
        (other, "not a cache"),
        (later, "version 9"),
        (tmp_path, "cannot"),
    ):
        with pytest.raises(ArtifactError, match=reason):
            Cache(path)
    assert other.read_bytes() == before


def test_threads_may_share_one(cache):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: cache.put([record(str(k % 50), f"r{k}")]), range(200)))
    assert len(cache) == 50
    assert cache.forget_reviews([f"r{k}" for k in range(200)]) == 50


def test_processes_may_open_and_write_one_at_once(tmp_path):
    program = (
        "import sys\n"
        "from idiolect.llm.base import Completion\n"
        "from idiolect.llm.cache import Cache, Record\n"
        "with Cache(sys.argv[1]) as cache:\n"
        "    for k in range(40):\n"
        "        done = Completion(text=sys.argv[2], prompt_tokens=1, completion_tokens=1)\n"
        "        cache.put([Record(str(k), done, frozenset({sys.argv[2]}))])\n"
    )
    path = tmp_path / "c.db"
    commands = [[sys.executable, "-c", program, str(path), str(who)] for who in range(4)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    with Cache(path) as cache:
        assert len(cache) == 40
        assert cache.forget_reviews(["2"]) == 40
