"""Studies of corpora that are no English reviews: Chinese ones, and replies in a forum."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from idiolect.data.split import Split
from idiolect.evaluation.compare import read_evaluation
from idiolect.experiments.real.config import RealConfig
from idiolect.experiments.real.corpus import corpus_warnings, quoting
from idiolect.experiments.real.run import run_real
from idiolect.store.sql import SqlStore
from idiolect.types import ConditionId

TINY = RealConfig(
    encoder="style+hash:16",
    enough_users=8,
    size="1m",
    pretrain_tokens=8_192,
    k=3,
    shown=1,
    steps=(2, 2),
    max_test=4,
    likelihood_users=4,
)
LEFT_OUT = "4 of 4 samples are not in English"


def run(folder, rows, items=(), **changes):
    """A finished study of a corpus of these rows, and the prompts of its evaluations by condition."""
    paths = {"corpus": folder / "texts.jsonl", "items": folder / "items.jsonl"}
    for path, lines in zip(paths.values(), (rows, items), strict=True):
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    if not items:
        del paths["items"]
    report = run_real(folder / "study", **paths, config=TINY.model_copy(update=changes), say=lambda _: None)
    with_text = sorted(path.name for path in (folder / "study").glob("results-with-text*"))
    passes = ("results-without-text", *with_text)
    prompts = [
        (condition, row["prompt"])
        for name in passes
        for condition, written in read_evaluation(folder / "study" / name).runs.items()
        for row in written
        if row["text"] is not None
    ]
    found = {"page": report.text, "warnings": report.warnings, "prompts": prompts, "passes": passes}
    return SimpleNamespace(folder=folder / "study", **found)


def chinese(n_users=9, n_places=9, per_user=8):
    """Nothing but user, item and text; every user ends clauses in a particle of their own."""
    rng = np.random.default_rng(0)
    common = [*"这家店的面很好吃汤也不错环境干净服务热情价格便宜下次还会再来朋友都喜欢味道清淡"]
    for n in range(per_user):
        for user in range(n_users):
            clauses = ("".join(rng.choice(common, 9)) + "啊呢吧嘛哦呀"[user % 6] for _ in range(4))
            yield {"user": f"用户{user}", "item": f"店{(2 * user + n) % n_places}", "text": f"{'，'.join(clauses)}。"}


@pytest.fixture(scope="module")
def restaurants(tmp_path_factory):
    return run(tmp_path_factory.mktemp("chinese"), chinese())


def test_chinese_texts_without_titles_ratings_or_times_end_in_a_page(restaurants):
    page = restaurants.page
    for row in (
        "| rag |",
        "| dep without text |",
        "| dep with text: another user's vectors |",
        "| all of the profile |",
    ):
        assert row in page
    assert "tok:zh" in page  # characters are compared: there are no blanks between words
    assert "4 of 4 references are not in Latin script" in page
    assert "test users |" not in page  # likelihoods are of those with texts only
    assert "- users: 9\n" in page


def test_a_page_on_chinese_texts_says_which_measures_are_left_out(restaurants):
    page = restaurants.page
    assert f"trait-fidelity is left out: {LEFT_OUT}" in page
    assert f"the likelihood by class of token is left out: {LEFT_OUT}" in page
    assert "- annotate: False (most texts are not in English" in page
    assert "dpl (measured): 4 of 4 samples have comparisons that are not in English" in page
    assert "| trait-fidelity |" not in page
    assert "Likelihood by class of token:" not in page


def test_the_past_of_a_chinese_user_is_in_the_prompts(restaurants):
    texts = [(prompt, condition) for condition, prompt in restaurants.prompts if condition == ConditionId("rag")]
    assert len(texts) == 8
    for prompt, _ in texts:
        (past,) = (line for line in prompt.splitlines() if line.startswith("Text: "))
        particles = {clause[-1] for clause in past.removesuffix("。").split("，")}
        assert len(particles) == 1


def replies(n_users=9, n_threads=9):
    """Rounds in which each user replies in another thread, quoting the reply before; some send two replies at once."""
    rng = np.random.default_rng(1)
    words = ["printer", "kernel", "driver", "works", "fails", "after", "the", "update", "on", "my", "machine", "you"]
    latest = {}
    for order in range(n_users * n_threads):
        user, thread = order % n_users, (order // n_users + order) % n_threads
        for part in range(1 + (order % 4 == 0)):
            said = f"{' '.join(rng.choice(words, 22))} {order}-{part}."
            before = f"{latest[thread][0]} wrote:\n> {latest[thread][1]}\n\n" if thread in latest else ""
            text = f"{before}{said}\n-- \nuser{user}, {words[user]} since 1999"
            latest[thread] = f"user{user}", said
            yield {
                "author": f"user{user}",
                "thread_id": f"t{thread}",
                "body": text,
                "created": 10**6 + 9 * order + part,
            }


def threads(n=9):
    return [
        {"id": f"t{k}", "title": f"Printer {k}", "description": f"Mine, number {k}, is out of ink."} for k in range(n)
    ]


@pytest.fixture(scope="module")
def forum(tmp_path_factory):
    return run(tmp_path_factory.mktemp("forum"), replies(), threads(), task="reply")


def test_every_prompt_of_a_study_of_replies_asks_for_a_reply(forum):
    assert len({condition for condition, _ in forum.prompts}) == 6  # all methods
    for condition, prompt in forum.prompts:
        assert prompt.startswith("You write the reply that one particular user would write. You are given ")
        assert "\nFirst post: Mine, number " in prompt
        assert "review" not in prompt.lower(), condition
    rag = [prompt for condition, prompt in forum.prompts if condition == ConditionId("rag")]
    assert all("Past replies of this user, best match first:\n\n- Thread: Printer " in prompt for prompt in rag)


def test_the_backbone_of_a_study_of_replies_has_read_such_prompts(forum):
    recipe = json.loads((forum.folder / "backbone" / "pretrain.json").read_text())["recipe"]
    assert recipe["documents"]["task"] == "reply"
    vocabulary = json.loads((forum.folder / "backbone" / "tokenizer.json").read_text())["model"]["vocab"]
    assert {"Ġreply", "Ġthread"} <= vocabulary.keys()
    assert not any("review" in token.lower() for token in vocabulary)


def test_the_page_on_replies_says_what_its_nouns_mean(forum):
    said = "The texts are replies (task `reply`): reviews are replies on this page, and items threads."
    assert said in forum.page
    assert "- task: reply\n" in forum.page
    assert "Likelihood by class of token:" in forum.page
    assert "trait-fidelity is left out" not in forum.page


def test_of_several_replies_of_a_user_in_a_thread_the_newest_counts(forum):
    with SqlStore(str(forum.folder / "reviews.db"), create=False) as store:
        split = Split.load(forum.folder / "split", fingerprint=store.fingerprint())
        chosen = store.reviews(split.ids("profile", "train", "validation", "test"))
    newest = {(row["author"], row["thread_id"]): row["body"] for row in replies()}
    assert len(newest) == 81 < len([*replies()])
    assert {(review.user, review.item): review.text for review in chosen} == newest
    assert len(chosen) == len(newest)


def test_quoted_lines_are_warned_about(forum):
    (warning,) = (one for one in forum.warnings if "quote" in one)
    assert f"**{warning}**" in forum.page
    share = np.mean(["\n> " in row["body"] for row in replies()])
    assert warning.startswith(f"{100 * share:.0f} % of the texts quote others")
    assert quoting(["> yes\nno", "no"]).startswith("50 % of the texts quote others")
    assert quoting([*["2 > 1, and\nno quotation"] * 99, "> yes\nno"]) == quoting([]) == ""


def essays(n_users=9, n_items=9, per_user=8):
    """Texts of seven hundred words, with markup and a signature."""
    rng = np.random.default_rng(3)
    words = ["film", "plot", "scene", "actor", "quiet", "long", "music", "end", "start", "light"]
    for n in range(per_user):
        for user in range(n_users):
            text = " ".join(rng.choice(words, 700)) + f".<br>\n-- \nu{user} of the film club"
            yield {"author": f"u{user}", "product_id": f"f{(2 * user + n) % n_items}", "text": text}


@pytest.fixture(scope="module")
def club(tmp_path_factory):
    return run(tmp_path_factory.mktemp("club"), essays())


def test_long_texts_are_cut_so_that_past_ones_stay_in_the_prompts(club):
    histories = [prompt for condition, prompt in club.prompts if condition == ConditionId("rag")]
    assert histories
    assert all("Past reviews of this user" in prompt and len(prompt.split()) > 250 for prompt in histories)


def test_targets_of_long_texts_are_as_long_as_the_backbone_reads(club):
    for name in club.passes:
        for rows in read_evaluation(club.folder / name).runs.values():
            assert all(len(row["reference"].split()) <= 330 for row in rows)


def test_the_page_begins_with_what_is_cut_and_what_the_texts_hold(club):
    cut, markup = (one for one in club.warnings if "of the texts" in one)  # signatures are cut away with the ends
    assert cut.startswith("100 % of the texts are longer than ")
    assert "of all characters are left out" in cut
    assert "100 % of the texts hold markup" in markup


def frame(users, texts):
    return pl.DataFrame({"user": users, "text": texts})


def warned(users, texts):
    return list(corpus_warnings(frame(users, texts), 1000, None))


def test_ordinary_texts_bring_no_warning():
    texts = [f"I < 3 it & so on, {n}\nSecond line {n}." for n in range(40)]
    assert warned([f"u{n % 20}" for n in range(40)], texts) == []
    assert warned([], []) == []


def test_what_is_cut_is_counted_in_characters_over_the_limit():
    (cut,) = warned([f"u{n}" for n in range(10)], [str(n) * 1500 for n in range(4)] + [str(n) * 500 for n in range(6)])
    assert cut.startswith("40 % of the texts are longer than 1,000 characters.")
    assert "22 % of all characters are left out" in cut  # 4 x 500 of 9,000


def test_signatures_are_named_where_ends_are_read():
    assert ["end in a line" in one for one in warned(["u"] * 3 + ["v"] * 3, signed(""))] == [False, True]
    assert not any("end in a line" in one for one in warned(["u"] * 3 + ["v"] * 3, signed("long " * 300)))


def signed(start):
    return [f"{start}Text {n}.\n-- Ann, of {'Ulm' if n < 3 else 'Bern'}" for n in range(6)]


def test_repeats_and_a_user_who_wrote_most_are_named():
    (repeated,) = warned([f"u{n}" for n in range(20)], ["the same"] * 10 + [f"text {n}" for n in range(10)])
    assert repeated.startswith("45 % of the texts repeat")
    (one,) = warned(["bot"] * 18 + ["a", "b"], [f"text {n}" for n in range(20)])
    assert one.startswith("One user wrote 90 %")
