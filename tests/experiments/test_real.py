"""A study of real reviews, on a small made-up corpus without titles, ratings or times."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import idiolect as idl
from idiolect.cli.world import _show_real
from idiolect.data.kcore import item_frame, review_frame
from idiolect.data.split import make_split
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, ConfigError, IdiolectError, InputError
from idiolect.evaluation.cache_model import CacheGains
from idiolect.evaluation.compare import read_evaluation
from idiolect.evaluation.report import Cell
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.significance import Interval
from idiolect.evaluation.user_attribution import attribute_users
from idiolect.experiments.real import config as real_config
from idiolect.experiments.real import page as real_page
from idiolect.experiments.real import run as real_run
from idiolect.experiments.real.conclusions import of_criterion, of_history, of_vectors, weakness
from idiolect.experiments.real.config import RealConfig, choose_filters, choose_sizes
from idiolect.experiments.real.corpus import split_corpus
from idiolect.experiments.real.costs import Costs
from idiolect.experiments.real.page import Words
from idiolect.experiments.real.run import _personal_words, _runs, run_real
from idiolect.experiments.real.stages import Runs
from idiolect.experiments.real.summary import HistoryGain, Seeds, VectorGain
from idiolect.pipeline.pretraining import pretraining_reviews
from idiolect.store.sql import SqlStore
from idiolect.types import ConditionId, Review

HABITS = ("honestly", "frankly", "well", "so", "indeed", "truly")
TINY = RealConfig(
    encoder="hash:16",
    enough_users=10,
    size="1m",
    pretrain_tokens=8_192,
    k=3,
    shown=(1, 2),
    steps=(2, 2),
    max_test=4,
)


def rows(n_users=14, n_items=12, per_user=12):
    rng = np.random.default_rng(0)
    for user in range(n_users):
        for order, item in enumerate(rng.choice(n_items, per_user, replace=False)):
            habit = HABITS[user % len(HABITS)]
            words = " ".join(rng.choice(["good", "bad", "beer", "hops", "malt", "bitter", "sweet"], 24))
            yield {"user": f"u{user}", "item": f"i{item}", "text": f"{habit}, {words} {order}.", "order": order}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study: its folder, its corpus, its report and its lines."""
    folder = tmp_path_factory.mktemp("real")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    said: list[str] = []
    report = run_real(folder / "study", corpus, config=TINY, say=said.append)
    return SimpleNamespace(folder=folder / "study", corpus=corpus, report=report, page=report.text, said=said)


def chosen(folder):
    """The number of reviews whose adapter is best on validation targets."""
    reports = {
        number: json.loads((folder / f"adapter-with-text-shown-{number}" / "report.json").read_text())["best_metric"]
        for number in TINY.shown
    }
    return min(reports, key=reports.get)


def reviews(number):
    return "1 review" if number == 1 else f"{number} reviews"


def past(number):
    return "1 past review" if number == 1 else f"{number} past reviews"


def outcomes(folder, condition, control=None):
    return read_evaluation(folder).runs[ConditionId(condition, control)]


def nats(folders, condition, control=None):
    """Of the users of all these evaluations."""
    return np.array([row["nll"] for folder in folders for row in outcomes(folder, condition, control)])


def parts(folder, label):
    """The evaluation with texts, and the likelihoods of the other ten of the fourteen users."""
    return [folder / f"results-{label}", folder / f"likelihoods-{label}-10-others"]


def adapters(folder):
    """Written when, of the method and of its trained constant."""
    found = folder.glob("adapter-*/**/adapter.safetensors")
    return {
        str(path.parent.relative_to(folder)): path.stat().st_mtime_ns for path in found if "checkpoint" not in str(path)
    }


def without(path, *place, **settings):
    """Take settings out of a record, as versions without them wrote it."""
    record = within = json.loads(path.read_text())
    for name in place:
        within = within[name]
    for name, value in settings.items():
        assert within.pop(name) == value
    path.write_text(json.dumps(record))


def test_a_study_ends_in_a_page(study):
    page = study.page
    assert "task" not in page
    warnings = [line for line in study.said if line.startswith("warning: ")]
    assert [line[:3] for line in study.said if line not in warnings] == [f"{k}/6" for k in range(1, 7)]
    assert [line.removeprefix("warning: ") for line in warnings] == [study.report.warnings[0]]
    assert "users nothing can be concluded" in warnings[0]  # said before hours of training, and on the page
    for name in ("without text", "with text"):
        assert f"| dep {name} |" in page
        assert f"| dep {name}: trained constant |" in page
        conditions = {str(row.condition) for row in study.report.evaluations[name].methods.rows}
        assert {"nonpersonalized", "rag", "dep"} <= conditions
        tables = study.report.evaluations[name].controls.values()
        controls = {str(row.condition) for table in tables for row in table.rows}
        assert {"dep: trained constant", "dep: another user's vectors", "rag: wrong user"} <= controls
        assert {"rag: nearest twin", "rag: item crowd", "dep: oracle"} <= controls
    assert "Likelihood by class of token" in page
    assert f"is {study.report.findings.backbone.held_out_review_perplexity:.1f} (" in page
    assert study.report.page.name == "real.md"
    assert all(f"**{warning}**" in page for warning in study.report.warnings)
    assert "honestly" not in page  # figures only, no text of a user


def test_the_page_says_how_well_the_vectors_identify_users(study):
    encoder, history = load_encoder(TINY.encoder), {}
    for row in rows():  # oldest first; the newest is the test target, and the split has every user
        vector = encoder.encode([row["text"]])[0].astype(np.float16).astype(np.float32)
        history.setdefault(row["user"], []).append((row["item"], vector))

    def difference(user, item, vector):
        peers = [v for other, all_ in history.items() if other != user for i, v in all_[:-1] if i == item]
        return vector - np.mean(peers, axis=0)

    head = "| vectors of | past reviews | users | attribution (AUC) | top-1 accuracy | chance | information, at least |"
    assert head in study.page
    kinds = {"reviews": lambda _, __, vector: vector, "their differences to others": difference}
    for (kind, of), number in itertools.product(kinds.items(), (*TINY.shown, TINY.k)):
        past = [np.mean([of(user, *one) for one in all_[-1 - number : -1]], axis=0) for user, all_ in history.items()]
        new = [of(user, *all_[-1]) for user, all_ in history.items()]
        found = attribute_users(np.stack(past), [*history], np.stack(new), [*history])
        figures = (found.auc(), found.top1())
        shares = " | ".join(f"{100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]" for one in figures)
        chance, nats = f"50 %, {100 / len(past):.1f} %", found.nats()
        told = f"{nats.value:.2f} [{nats.low:.2f}, {nats.high:.2f}]"
        assert f"| {kind} | {number} | {len(past)} | {shares} | {chance} | {told} |" in study.page


def test_the_command_prints_what_the_page_concludes(study, tmp_path, capsys, monkeypatch):
    assert study.report.conclusions == ()  # of 14 users, nothing
    monkeypatch.setattr(real_run, "ENOUGH_USERS", 14)
    copy = shutil.copytree(study.folder, tmp_path / "study")
    report = run_real(copy, study.corpus, config=TINY, say=lambda _: None)
    _show_real(report, as_json=False)
    printed = capsys.readouterr().out.splitlines()
    plain = [one.replace("**", "") for one in report.conclusions]
    assert printed == [*report.warnings, *plain, f"page     {report.page}"]
    heads = ("Past reviews as text ", "Vectors alone ", "Vectors beside text ", "The criterion for a win is ")
    assert [one.startswith(head) for one, head in zip(plain, heads, strict=True)] == [True] * 4
    short = report.text.split("## In short")[1].split("\n## ")[0]
    assert [line.removeprefix("- ") for line in short.splitlines() if line.startswith("- ")] == [*report.conclusions]


def test_the_record_has_the_rows_of_the_page(study):
    record = json.loads((study.folder / "real.json").read_text())
    assert record == study.report.record
    for row in record["gains"]:
        assert f"| {row['text']} | {row['value']:+.2f} [{row['low']:.2f}, {row['high']:.2f}] |" in study.page
        assert np.mean(row["seeds"]) == pytest.approx(row["value"])
    assert record["chosen"]["users"] == 14
    assert [f"- {one}" in study.page for one in record["verdicts"]] == [True] * len(record["verdicts"])


def test_the_figure_stands_beside_the_page_if_it_can_be_drawn(study, tmp_path, monkeypatch):
    assert "](real.svg)" in study.page
    assert "DEP with text: trained constant worse by" in (study.folder / "real.svg").read_text()
    moved = shutil.copytree(study.folder, tmp_path / "elsewhere" / "study")
    written = adapters(moved)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    again = run_real(moved, study.corpus, config=TINY, say=lambda _: None)
    assert again.text == study.page.replace("![Gains, and what controls lose of them](real.svg)\n\n", "")
    assert not (moved / "real.svg").exists()  # it would be of an earlier call
    assert adapters(moved) == written  # the folder was moved, and nothing is computed again


def test_a_second_call_goes_on_where_the_first_was(study):
    page, written = study.page, adapters(study.folder)
    new = {"likelihood_users": 500, "authorship": [], "text_judge": None}
    without(study.folder / "claim.json", "config", task="review", **new)
    without(study.folder / "backbone" / "pretrain.json", "recipe", "documents", task="review")
    without(study.folder / "results-without-text" / "claim.json", texts=True, beyond=0)
    again = run_real(study.folder, study.corpus, config=TINY, say=lambda _: None)
    assert adapters(study.folder) == written
    fitted = {"adapter-without-text", "adapter-with-text-shown-1", "adapter-with-text-shown-2"}
    constants = {"adapter-without-text/constant", f"adapter-with-text-shown-{chosen(study.folder)}/constant"}
    assert written.keys() == fitted | constants
    assert again.text == page
    for change in ({"seed": 1}, {"task": "reply"}):
        with pytest.raises(ConfigError, match="study"):
            run_real(study.folder, study.corpus, config=TINY.model_copy(update=change), say=lambda _: None)


def test_a_finished_study_is_extended_by_further_seeds(study):
    first, folder = study.page, study.folder
    written, said = adapters(folder), []
    more = run_real(folder, study.corpus, config=TINY.model_copy(update={"seeds": 2}), say=said.append)
    shown = reviews(chosen(study.folder))
    assert [line for line in said if "seed 1" in line] == [
        "4/6  fitting DEP without text and with text of past reviews, seed 1",
        f"5/6  evaluating both, with {shown} as text, and likelihoods of 10 further users, seed 1",
    ]
    assert written.items() < adapters(folder).items()
    assert "each seed" not in first
    heads = [f"Of the 14 test users{seed}:\n\n- DEP without text:" for seed in ("", ", first seed")]
    assert [[head in page for head in heads] for page in (first, more.text)] == [[True, False], [False, True]]
    assert "## Scores over 2 seeds" in more.text
    outs = [parts(folder, f"with-text-{last}") for last in (f"shown-{chosen(folder)}", "seed-1")]
    gains = [float((nats(out, "rag") - nats(out, "dep")).mean()) for out in outs]
    line = next(line for line in more.text.splitlines() if line.startswith("| DEP with text gains over RAG"))
    assert f"| {np.mean(gains):+.2f} [" in line
    assert line.endswith(f"| {gains[0]:+.2f}, {gains[1]:+.2f} |")


def test_validation_chooses_how_many_reviews_are_shown_and_rag_is_shown_with_each(study):
    best, other = chosen(study.folder), 3 - chosen(study.folder)
    out, alone = parts(study.folder, f"with-text-shown-{best}"), parts(study.folder, "without-text")
    if other != max(TINY.shown):
        alone = [study.folder / f"likelihoods-rag-shown-{other}{group}" for group in ("", "-10-others")]
    assert {read_evaluation(one).settings["prompt"]["max_shown"] for one in out} == {best}
    assert {read_evaluation(one).settings["prompt"]["max_shown"] for one in alone} == {other}
    assert f"- shown: {best}\n" in study.page
    means = {best: nats(out, "rag").mean(), other: nats(alone, "rag").mean()}
    rows = [line for line in study.page.splitlines() if line.startswith(("| 1", "| 2"))]
    assert [row.split(" |")[-2] for row in rows] == [f" {means[number]:.2f}" for number in (1, 2)]
    assert [" (chosen) " in row for row in rows] == [best == 1, best == 2]
    line = f"| DEP with text ({best}) gains over RAG with {other}, the best number for RAG on these users |"
    gain = means[other] - nats(out, "dep").mean()
    assert (f"{line} {gain:+.2f} [" in study.page) == (means[other] < means[best])
    noted = (f"against RAG with {past(2)}, the others with 1.", f"RAG and the other methods with text show {past(2)}.")
    assert [text in study.page for text in noted] == [best == 1] * 2


ROWS = {
    "RAG gains over Non-Perso": ("with", ("nonpersonalized",), ("rag",)),
    "RAG loses with another user's history": ("with", ("rag", "wrong user"), ("rag",)),
    "DEP without text gains over Non-Perso": ("without", ("nonpersonalized",), ("dep",)),
    "DEP with text gains over RAG": ("with", ("rag",), ("dep",)),
}


def test_gains_rest_on_all_test_users_and_are_shown_of_both_groups(study):
    labels = {"without": "without-text", "with": f"with-text-shown-{chosen(study.folder)}"}
    whole, groups = study.page.split("The same of the 4 users with texts and of the 10 others")
    assert "| nats per review, 14 test users | mean and 95 % interval |" in whole
    assert "| nats per review | 4 users with texts | 10 others |" in groups
    for text, (where, worse, better) in ROWS.items():
        both = parts(study.folder, labels[where])
        means = [float((nats(some, *worse) - nats(some, *better)).mean()) for some in (both, both[:1], both[1:])]
        assert f"| {text} | {means[0]:+.2f} [" in whole
        row = next(line for line in groups.splitlines() if line.startswith(f"| {text} |"))
        assert [cell.split(" [")[0] for cell in row.split(" | ")[1:]] == [f"{mean:+.2f}" for mean in means[1:]]
    assert "Of the 14 test users:\n\n- DEP without text: " in study.page


def test_no_text_is_written_for_users_of_whom_likelihoods_alone_are_asked(study):
    written, others = parts(study.folder, "without-text")
    users = [{sample[0] for sample in read_evaluation(folder).samples} for folder in (written, others)]
    assert [len(group) for group in users] == [4, 10]
    assert len(users[0] | users[1]) == 14
    found = study.folder.glob("likelihoods-*/samples/*.jsonl")
    kept = [json.loads(line) for path in found for line in path.read_text().splitlines()]
    assert kept
    assert {row["text"] for row in kept} == {None}
    changes = {**read_evaluation(others).settings}
    adapter = study.folder / "adapter-without-text"
    with pytest.raises(ConfigError, match="an evaluation with another beyond, texts"):
        run_evaluate(str(study.folder / "reviews.db"), study.folder / "split", others, adapter=adapter, changes=changes)


@pytest.mark.parametrize(
    ("asked", "targets", "expected"), [(None, 377, 257), (500, 377, 257), (200, 377, 80), (100, 377, 0), (500, 121, 0)]
)
def test_likelihoods_are_of_as_many_users_as_there_are_and_are_asked_for(asked, targets, expected):
    config = RealConfig(max_test=120, likelihood_users=asked)
    rest = dict.fromkeys(("folder", "store", "split", "sizes", "costs", "progress"))
    assert Runs(config=config, n_targets=targets, **rest).n_others == expected


def test_the_page_says_what_each_stage_cost(study):
    section = study.page.split("## Cost")[1].split("## Details")[0]
    stages = ("reading", "vectors", "pretraining", "fit, without text", "evaluation, without text")
    for name in (*stages, "likelihoods of 10 others, without text", f"fit, with text shown {chosen(study.folder)}"):
        cost = study.report.costs[name]
        assert f"| {name} | {cost.seconds:.0f} | {cost.processor_seconds:.0f} |" in section
        assert (cost.finished, cost.calls) == (True, 1)
        assert cost.seconds > 0
    assert f"| all | {sum(one.seconds for one in study.report.costs.values()):.0f} (" in section
    assert "Without a record" not in section


def test_measures_of_authorship_and_a_judge_are_shown_between_floor_and_ceiling(study):
    asked = {"authorship": "hash:16", "text_judge": {"backbone": {"model": "fake"}}}
    config = RealConfig(**{**TINY.model_dump(), **asked})
    page = run_real(study.folder, study.corpus, config=config, say=lambda _: None).text
    head = next(line for line in page.splitlines() if "burrows-delta" in line.lower())
    assert "| attribution (hash:16) |" in head
    assert "| judge |" in head
    assert "- text_judge: fake\n" in page
    assert "| evaluation, without text, hash:16, fake |" in page
    assert "hash:16) |" not in study.page


def test_measures_that_cannot_be_had_are_refused_before_anything_is_made(tmp_path):
    for wrong, said in (({"authorship": "no/such-encoder"}, "no/such-encoder"), ({"text_judge": {}}, "name a model")):
        with pytest.raises(IdiolectError, match=said):
            idl.study_real("r.jsonl", out=tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_evaluations_of_other_samples_are_not_averaged(study, tmp_path):
    whole, part = study.folder / "results-without-text", tmp_path / "part"
    shutil.copytree(whole, part)
    for path in part.glob("samples/*.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="other samples"):
        Seeds([[whole], [part]])


def test_a_damaged_record_of_the_choice_is_named(study):
    path = study.folder / "shown.json"
    kept = path.read_bytes()
    for damaged in (b"{", b'{"1": "x"}', b'{"1": 2.0}'):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"shown\.json"):
            run_real(study.folder, study.corpus, config=TINY, say=lambda _: None)
    path.write_bytes(kept)


def test_one_number_of_reviews_is_no_choice():
    assert RealConfig(shown=2).shown == (2,)
    assert RealConfig(shown=[4, 1, 4]).shown == (1, 4)
    assert RealConfig(k=3).shown == (1, 2, 3)
    with pytest.raises(ConfigError, match="shown"):
        idl.study_real("r.jsonl", shown=0)


def test_an_unknown_task_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'reply'"):
        idl.study_real("r.jsonl", out=tmp_path / "out", task="replies")
    assert not (tmp_path / "out").exists()


def words_that_cost(nats):
    own, other = np.full(40, 100.0), np.random.default_rng(3).normal(100 + nats, 1, 40)
    return CacheGains(users=[f"u{k}" for k in range(40)], without=own + 1, own=own, other=other, weight=0.1)


HARMLESS, HARMFUL, HELPFUL = (
    HistoryGain(Interval(3.0, 2.0, 4.0), others)
    for others in (Interval(0.0, -0.3, 0.3), Interval(5.0, 4.0, 6.0), Interval(-5.0, -6.0, -4.0))
)
"""What another user's history costs."""


def vectors(gain, constant, others):
    """What they gain, and what controls lose: means with intervals."""
    return VectorGain(*(Interval(*one) for one in (gain, constant, others)))


BEERS_ALONE = vectors((1.81, 1.51, 2.12), (1.19, 0.9, 1.5), (3.40, 3.0, 3.8))
ALBUMS_BESIDE = vectors((1.85, 1.32, 2.41), (-0.54, -0.97, -0.13), (1.42, 0.88, 2.00))
FILMS_ALONE = vectors((0.27, 0.09, 0.47), (0.01, -0.05, 0.06), (0.01, -0.01, 0.02))
"""Figures as real studies had them; films with a constant that is as good."""


def test_a_gain_is_called_personal_only_if_both_controls_lose_of_it():
    personal = of_vectors("without text", BEERS_ALONE, 2)
    assert personal.startswith("**Vectors alone help, and the gain is personal.** DEP without text gains 1.81 nats ")
    assert "is 1.19 worse [0.90, 1.50], so it has 34% of the gain" in personal
    constant = of_vectors("with text", ALBUMS_BESIDE, 2)
    assert constant.startswith("**Vectors beside text help, but not because they are the user's.**")
    assert "over RAG with the same 2 reviews." in constant
    assert "even 0.54 better [0.13, 0.97]" in constant
    assert "1.42 worse [0.88, 2.00], so the model does read them" in constant
    neither = of_vectors("without text", FILMS_ALONE, 2)
    assert "help, but not because they are the user's" in neither
    assert "as good: 0.01 worse [-0.05, 0.06]" in neither
    assert "does read them" not in neither
    others = BEERS_ALONE._replace(others=Interval(0.1, -0.2, 0.4))
    assert "help, but not because" in of_vectors("without text", others, 2)


def test_a_wide_interval_of_a_control_leaves_it_open_whether_a_gain_is_personal():
    wide = BEERS_ALONE._replace(constant=Interval(0.5, -0.4, 1.4))
    assert of_vectors("without text", wide, 2).startswith("**Vectors alone help; whether that is personal is open.**")


@pytest.mark.parametrize(
    ("gain", "head"),
    [(Interval(0.1, -0.1, 0.3), "do not help measurably"), (Interval(-0.4, -0.6, -0.2), "do harm")],
)
def test_without_a_gain_controls_do_not_matter(gain, head):
    told = of_vectors("with text", BEERS_ALONE._replace(gain=gain), 1)
    assert told.startswith(f"**Vectors beside text {head}.**")
    assert "over RAG with the same review." in told
    assert "constant" not in told
    assert head in of_history(HARMFUL._replace(gain=gain), 1)


def test_past_reviews_are_called_personal_only_if_another_users_history_is_worse():
    assert of_history(HARMFUL, 4).startswith("**Past reviews as text help, and the help is personal.** RAG with 4 ")
    for history in (HARMLESS, HELPFUL):
        assert of_history(history, 1).startswith("**Past reviews as text help, but nothing shows that")


def meteor(difference, low, high):
    versus = SimpleNamespace(difference=difference, low=low, high=high)
    return Cell(score=Interval(0.2, 0.1, 0.3), versus=versus)


def test_the_criterion_for_a_win_names_what_is_missing():
    won = vectors((0.6, 0.4, 0.8), (0.4, 0.2, 0.6), (0.9, 0.6, 1.2))
    assert of_criterion(won, meteor(-0.01, -0.02, 0.01)).startswith("**The criterion for a win is met**: DEP with")
    assert of_criterion(won, None).endswith("METEOR was not measured.")
    lost = {
        "METEOR is lower, by 0.010 [0.005, 0.015]": (won, meteor(-0.010, -0.015, -0.005)),
        "it is ahead by 0.49 [0.30, 0.60]": (won._replace(gain=Interval(0.49, 0.3, 0.6)), None),
        "it is ahead by 0.60 [-0.01, 1.20]": (won._replace(gain=Interval(0.6, -0.01, 1.2)), None),
        "with a trained constant it loses -0.54 [-0.97, -0.13] of 1.85": (ALBUMS_BESIDE, None),
        "with another user's vectors it loses 0.29 [0.20, 0.40] of 0.60": (
            won._replace(others=Interval(0.29, 0.2, 0.4)),
            None,
        ),
    }
    for missing, case in lost.items():
        told = of_criterion(*case)
        assert told.startswith("**The criterion for a win is not met** (DEP with text at least 0.5 nats ahead of RAG")
        assert missing in told


def test_a_backbone_to_which_all_users_are_the_same_is_named_in_plain_words():
    told = weakness(HARMLESS, words_that_cost(3.0), 2)
    assert "The backbone is too weak to tell persons apart" in told
    assert "a bigram model with the words of another user's newest reviews (2) is 2.96 nats worse [" in told
    assert weakness(HARMFUL, words_that_cost(3.0), 2) == ""
    assert weakness(None, words_that_cost(3.0), 2) == ""
    assert "chance" in told
    assert "chance" not in weakness(HELPFUL, words_that_cost(3.0), 1)


def test_a_corpus_in_which_nothing_is_personal_is_not_blamed_on_the_backbone():
    told = weakness(HARMLESS, words_that_cost(0.0), 1)
    assert "backbone" not in told
    assert "there may be little that is personal" in told
    assert "little that is personal" in weakness(HARMLESS, words_that_cost(0.1), 1)


def test_the_page_says_how_much_is_personal_in_words(study):
    rows = [line for line in study.page.splitlines() if line.startswith(("| all of the profile |", "| the newest"))]
    for found, row in zip(study.report.findings.words, rows, strict=True):
        gain, cost = (f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in (found.gain(), found.cost()))
        assert row.endswith(f" | {gain} | {cost} |")
    assert "no blanks between words" not in study.page


def test_the_page_says_where_characters_are_counted_in_place_of_words():
    english = words_that_cost(3.0)
    chinese = replace(english, n_unspaced=30)
    assert "Words of 30 reviews are single characters" in real_page._personal_words(Words(chinese, chinese), 1)
    assert "single characters" not in real_page._personal_words(Words(english, english), 1)


def test_words_are_also_counted_in_as_many_reviews_as_prompts_show(tmp_path):
    store, config = str(tmp_path / "reviews.db"), RealConfig(enough_users=5, shown=1)
    with SqlStore(store) as database:
        database.add((), list(with_a_habit_that_changes()))
    corpus = split_corpus(store, tmp_path / "split", config)
    runs = _runs(tmp_path, config, corpus, Costs(tmp_path / "cost.json"), progress=False)
    whole, newest = (_personal_words(runs, newest=number) for number in (None, 1))
    assert whole.gain().low > 0
    assert newest.gain().value > 1.5 * whole.gain().value


def test_from_python_a_budget_is_named_by_keywords_and_a_table_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="settings: unknown setting 'token'"):
        idl.study_real(tmp_path / "r.jsonl", token=3)
    with pytest.raises(InputError, match="corpus is a list, not a path"):
        idl.study_real([{"user": "u"}])
    with pytest.raises(InputError, match=r"r\.jsonl"):
        idl.study_real(tmp_path / "r.jsonl", out=tmp_path / "out", pretrain_tokens=10)


def with_a_habit_that_changes():
    """Every review has a word of its own, but the newest of the profile and what follows have the user's."""
    rng = np.random.default_rng(4)
    for user in range(8):
        for order in range(16):
            common = " ".join(rng.choice(["good", "bad", "hops", "malt", "bitter"], 16))
            own = f" w{user}x{max(0, 9 - order)}" * 6
            yield Review(id=f"{user}-{order}", user=f"u{user}", item=f"i{order}", text=common + own, order=order)


def frames(users, items, per_user, chars):
    rng = np.random.default_rng(1)
    made = (
        Review(id=f"{user}-{item}", user=f"u{user}", item=f"i{item}", text=f"{user} {item} ".ljust(chars, "x"))
        for user in range(users)
        for item in rng.choice(items, per_user, replace=False)
    )
    return review_frame(made), item_frame(())


def test_filters_are_as_strict_as_the_corpus_allows():
    assert choose_filters(*frames(40, 20, 18, 120), enough=30)["min_user_reviews"] == 16
    assert choose_filters(*frames(40, 20, 11, 120), enough=30)["min_user_reviews"] == 10
    assert choose_filters(*frames(40, 20, 11, 60), enough=30)["min_text_chars"] == 50


def test_short_histories_are_split_with_fewer_training_targets():
    reviews, items = frames(60, 9, 7, 60)  # six are asked for, three of them as profile
    filters = choose_filters(reviews, items, enough=30)
    assert filters["min_user_reviews"] == 6
    counts = make_split(reviews, items, SplitConfig.preset("small", **filters)).counts
    assert counts.train == 2 * counts.users
    assert counts.profile == 3 * counts.users


def test_too_thin_a_corpus_is_refused_in_one_line():
    with pytest.raises(InputError, match="no user has enough"):
        choose_filters(*frames(5, 4, 3, 50), enough=10)


def test_of_a_large_corpus_the_filters_are_tightened(monkeypatch):
    reviews, items = (pl.concat(pair) for pair in zip(frames(40, 20, 18, 120), heavy(), strict=True))
    assert choose_filters(reviews, items, enough=5)["min_user_reviews"] == 16
    monkeypatch.setattr(real_config, "_MOST_USERS", 30)
    tight = choose_filters(reviews, items, enough=5)
    assert (tight["min_user_reviews"], tight["min_item_users"]) == (32, 10)


def heavy(users=12, items=60):
    made = (
        Review(id=f"h{user}-{item}", user=f"h{user}", item=f"i{item}", text=f"{user} {item} ".ljust(120, "y"))
        for user in range(users)
        for item in range(items)
    )
    return review_frame(made), item_frame(())


def test_a_refused_corpus_is_described():
    with pytest.raises(InputError, match="of 5 users 0 have 6 different texts, of 4 items 4 have 2 users"):
        choose_filters(*frames(5, 4, 3, 50), enough=10)


def test_the_most_active_user_is_not_all_that_the_backbone_reads(tmp_path):
    with SqlStore(tmp_path / "reviews.db") as store:
        made = [Review(id=f"b{n}", user="bot", item=f"i{n}", text=f"text {n}", order=n) for n in range(500)]
        made += [Review(id=f"p{n}", user=f"p{n}", item="i", text=f"words {n}") for n in range(50)]
        store.add((), made)
        read = pretraining_reviews(store, None, 400, 0, work=tmp_path)
        assert sum(review.user == "bot" for review in read) <= 200
        assert len({review.user for review in read}) == 51
        assert len(pretraining_reviews(store, None, None, 0, work=tmp_path)) == 550


def texts(words, n=60):
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(["good", "bad", "beer", "hops", "malt", "bitter"], words)) for _ in range(n)]


@pytest.mark.parametrize(("words", "expected"), [(2, (384, 48)), (100, (728, 100)), (20_000, (1536, 320))])
def test_budgets_follow_the_lengths_of_reviews_within_bounds(words, expected):
    assert choose_sizes(texts(words), [], k=4)[:2] == expected


def test_only_texts_that_do_not_fit_the_prompt_are_cut():
    short, long = (choose_sizes(texts(words), [], k=12, shown=4) for words in (40, 2000))
    assert short.history_chars is None
    assert short.target_chars > 4 * len(texts(40)[0])
    per_token = len(texts(2000)[0]) / 2000
    assert long.target_chars < 400 * per_token
    assert 600 * per_token < long.history_chars < 1536 * per_token
    assert long.reviews < 60_000 < short.reviews


def test_long_descriptions_next_to_short_reviews_are_cut_and_fit():
    sizes = choose_sizes(texts(20), texts(500, n=30), k=4)
    short = choose_sizes(texts(20), [], k=4)
    assert sizes.description_chars <= 250
    assert sizes.prompt >= short.prompt + 200 / 10


def test_descriptions_with_a_token_per_character_leave_room():
    rng = np.random.default_rng(2)
    rare = ["".join(map(chr, rng.integers(0x4E00, 0x9FFF, 1000))) for _ in range(40)]
    sizes = choose_sizes(texts(300), rare, k=4)
    assert sizes.description_chars < 1000
    assert sizes.prompt == 1536


def test_a_password_in_an_address_is_not_kept(tmp_path):
    with pytest.raises(InputError, match="address") as error:
        run_real(tmp_path / "study", "https://me:hunter2@host/x.jsonl", config=TINY, say=lambda _: None)
    assert "hunter2" not in str(error.value)
    kept = [path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()]
    assert not any(b"hunter2" in content for content in kept)


def test_a_corpus_that_cannot_be_read_leaves_the_folder_to_another(tmp_path):
    good, odd = tmp_path / "corpus.jsonl", tmp_path / "odd.jsonl"
    good.write_text(json.dumps({"user": "u", "item": "i", "text": "Fine."}) + "\n", encoding="utf-8")
    odd.write_text(json.dumps({"who": "u", "item": "i", "words": "Fine."}) + "\n", encoding="utf-8")
    for corpus, columns, message in (
        (tmp_path / "missing.jsonl", None, "no such file"),
        (odd, None, "no column for 'user', 'text'"),
        (good, None, "no user has enough reviews"),
    ):
        with pytest.raises(InputError, match=message):
            run_real(tmp_path / "study", corpus, columns=columns, config=TINY, say=str)
    with pytest.raises(ConfigError, match="another study: columns, corpus changed"):
        run_real(tmp_path / "study", odd, columns={"user": "who", "text": "words"}, config=TINY, say=str)
