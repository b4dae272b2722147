"""Authorship verification: LambdaG, and encoders by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.errors import MissingDependencyError, NotFoundError
from idiolect.evaluation.calibration import CEILING, FLOOR, calibrate
from idiolect.metrics import verification
from idiolect.metrics.fidelity import StyleTargets
from idiolect.metrics.verification import EncoderVerifier, LambdaG, load_verifier, masked_sentences
from idiolect.pipeline.settings import Settings
from idiolect.types import ConditionId, Sample

N_USERS, N_ITEMS = 12, 8
PARTS = ["the tea was very good", "it was a little too warm", "i liked the cup and the pot", "we sat there for a while",
         "and the place is near the river", "but it is not cheap"]  # fmt: skip


def text_of(rng: np.random.Generator, user: int) -> str:
    """Every user has sentences of their own, and an own way to end them."""
    own = np.random.default_rng(user).permutation(len(PARTS))[:4]
    return " ".join(PARTS[k] + ("!" if user % 2 else ".") for k in rng.permutation(own))


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{u}", "item": f"i{i}", "text": text_of(rng, u)} for u in range(N_USERS) for i in range(1, N_ITEMS)
    ]
    rows += [{"user": f"u{u}", "item": "i0", "text": text_of(rng, u)} for u in range(N_USERS, 2 * N_USERS)]
    samples = [Sample(user=f"u{u}", item="i0", reference=text_of(rng, u)) for u in range(N_USERS)]
    return samples, pl.DataFrame(rows)


def by(users: Iterable[str]) -> list[Sample]:
    return [Sample(user=user, item="i0") for user in users]


class Marks:
    """Encodes how sentences end."""

    name, dim = "marks", 2

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        found = np.array([[1 + text.count("!"), 1 + text.count(".")] for text in texts], np.float32).reshape(-1, 2)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def calibrated(corpus, verifier, **written):
    samples, reviews = corpus
    runs = {ConditionId(name): texts for name, texts in written.items()}
    targets = StyleTargets.of(samples, reviews)
    return calibrate(samples, reviews, runs, targets, verifiers=[verifier], seed=0, resamples=300)


def test_an_encoder_attributes_texts_to_users_between_floor_and_ceiling(corpus) -> None:
    rng = np.random.default_rng(5)
    same = [text_of(rng, user) for user in range(N_USERS)]
    other = [text_of(rng, user + 1) for user in range(N_USERS)]
    found = calibrated(corpus, EncoderVerifier("team/marks", Marks()), same=same, other=other)
    scores = {title: row["attribution (marks)"] for title, row in found.rows.items()}
    assert scores[CEILING].value.value == pytest.approx(6 / 11 + 5 / 22), "six of eleven others end otherwise"
    assert scores["same"].share.value == pytest.approx(1)
    assert scores["other"].value.value < scores[FLOOR].value.value < scores["same"].value.value
    assert "attribution (marks)" in found.to_markdown()


@given(st.lists(st.text(max_size=20), min_size=3, max_size=3))
def test_an_attribution_is_a_share_and_all_equal_is_chance(texts: list[str]) -> None:
    users, past = ["a", "b", "c"], {"a": ["x!"], "b": ["x. y."], "c": ["x"]}
    verifier = EncoderVerifier("marks", Marks())
    found = verifier.scores({"run": texts}, by(users), past)["run"]
    assert ((found >= 0) & (found <= 1)).all()
    same = verifier.scores({"run": texts}, by(users), {user: ["x!"] for user in users})["run"]
    np.testing.assert_allclose(same, 0.5)


def test_a_masked_text_has_no_topic_and_keeps_function_words_and_marks() -> None:
    assert masked_sentences("I don't like Chimay's 2nd beer...\nToo sweet!") == [
        ("i", "don't", "w", "w'", "0", "w", "w", ".", ".", "."),
        ("too", "w", "!"),
    ]
    assert masked_sentences(" \n ") == []


def test_lambda_g_is_high_for_the_user_and_low_for_others(corpus) -> None:
    pytest.importorskip("lambdag", reason="the extra authorship is not installed")
    rng = np.random.default_rng(5)
    same = [text_of(rng, user) for user in range(N_USERS)]
    other = [text_of(rng, user + 1) for user in range(N_USERS)]
    found = calibrated(corpus, LambdaG(), same=same, other=other, silent=[""] * N_USERS)
    scores = {title: row["lambda-g"] for title, row in found.rows.items()}
    assert scores[CEILING].value.value > 0 > scores[FLOOR].value.value
    assert scores["same"].share.value == pytest.approx(1, abs=0.2)
    assert scores["other"].share.value < 0.3
    assert scores["silent"].value.value == 0


def test_lambda_g_depends_on_no_order_of_users(corpus) -> None:
    pytest.importorskip("lambdag", reason="the extra authorship is not installed")
    rng = np.random.default_rng(6)
    past = {f"u{u}": [text_of(rng, u) for _ in range(3)] for u in range(4)}
    texts = [text_of(rng, u) for u in range(4)]
    there = LambdaG().scores({"run": texts}, by(past), past)["run"]
    back = LambdaG().scores({"run": texts[::-1]}, by(reversed(past)), dict(reversed(past.items())))["run"]
    np.testing.assert_allclose(there, back[::-1])
    assert LambdaG().scores({"run": ["The tea."]}, by("u"), {"u": ["The tea."]})["run"].tolist() == [0.0], "no others"


GERMAN = "Der Tee war sehr gut und nicht zu teuer, aber die Tasse war leider kaputt."


class Lengths:
    """An English measure: the number of words."""

    measure, english_only, unknown = LambdaG.measure, True, 0

    def scores(self, runs, samples, past):
        assert {str(sample.user) for sample in samples} == set(past)
        assert all("Tee" not in text for texts in (*runs.values(), *past.values()) for text in texts)
        return {name: np.array([len(text.split()) for text in texts], float) for name, texts in runs.items()}


def with_german(corpus, n: int):
    """The corpus with ``n`` users who write in German."""
    samples, reviews = corpus
    german = [f"u{k}" for k in range(n)]
    mixed = [Sample(user=one.user, item="i0", reference=GERMAN) if one.user in german else one for one in samples]
    text = pl.when(pl.col("user").is_in(german)).then(pl.lit(GERMAN)).otherwise(pl.col("text"))
    return mixed, reviews.with_columns(text=text)


def test_english_measures_are_of_the_english_samples_and_the_table_says_so(corpus) -> None:
    samples, reviews = with_german(corpus, 1)
    targets = StyleTargets.of(samples, reviews)
    written = {ConditionId("copy"): [sample.reference for sample in samples], ConditionId("same"): ["It is good."] * 12}
    options = {"verifiers": [Lengths()], "seed": 0, "resamples": 300}
    found = calibrate(samples, reviews, written, targets, **options)
    assert found.left_out == {"trait-fidelity": 1, "lambda-g": 1}
    assert found.to_dict()["left_out"] == found.left_out
    assert "lambda-g is of the other 11: 1 of 12 samples are not in English" in found.to_markdown()
    assert "trait-fidelity is of the other 11: 1 of 12 samples" in found.to_markdown()
    own = [len(sample.reference.split()) for sample in samples[1:]]
    assert found.rows[CEILING]["lambda-g"].value.value == pytest.approx(np.mean(own))
    assert found.rows["copy"]["lambda-g"].value == found.rows[CEILING]["lambda-g"].value, "the same samples and draws"
    assert found.rows["copy"]["trait-fidelity"].value == found.rows[CEILING]["trait-fidelity"].value
    expected = targets.score([sample.reference for sample in samples])[1:].mean()
    assert found.rows["copy"]["trait-fidelity"].value.value == pytest.approx(expected)
    assert {"trait-fidelity", "lambda-g", "attribution"} <= set(found.rows[FLOOR]) & set(found.rows["same"])


def test_a_sample_whose_other_text_is_foreign_has_no_floor_of_an_english_measure(corpus) -> None:
    samples, reviews = corpus
    others = pl.col("user").is_in([f"u{k}" for k in range(N_USERS, 2 * N_USERS, 2)])
    rows = reviews.with_columns(text=pl.when(others).then(pl.lit(GERMAN)).otherwise(pl.col("text")))
    targets = StyleTargets.of(samples, rows)
    assert targets.known.all()
    found = calibrate(samples, rows, {}, targets, verifiers=[Lengths()], seed=0, resamples=300)
    assert 0 < found.left_out["lambda-g"] == found.left_out["trait-fidelity"] < N_USERS


@pytest.mark.parametrize(("n", "also"), [(11, ", and the others are of one user"), (12, "")])
def test_an_english_measure_of_fewer_than_two_users_is_left_out(corpus, n: int, also: str) -> None:
    samples, reviews = with_german(corpus, n)
    targets = StyleTargets.of(samples, reviews)
    found = calibrate(samples, reviews, {}, targets, verifiers=[Lengths()], seed=0, resamples=300)
    for name in ("trait-fidelity", "lambda-g"):
        assert name not in found.rows[CEILING]
        assert found.left_out[name] == n
        assert (
            f"{name} is left out: {n} of 12 samples are not in English, or their text of another user is not{also}."
            in found.to_markdown()
        )
    assert "attribution" in found.rows[CEILING]


def test_without_its_package_lambda_g_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *, extra: str) -> None:
        raise MissingDependencyError(f"this needs {module}", hint=f"pip install 'idiolect[{extra}]'")

    monkeypatch.setattr(verification, "require", missing)
    with pytest.raises(MissingDependencyError) as raised:
        load_verifier("lambdag")
    assert "idiolect[authorship]" in str(raised.value.hint)


NAMES = ["StyleDistance/styledistance", "StyleDistance/mstyledistance", "gabrielloiseau/LUAR-MUD-sentence-transformers"]


@pytest.mark.parametrize("name", NAMES)
def test_encoders_of_authors_are_looked_for_on_the_hub_and_offline_one_line_says_so(name: str) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(NotFoundError, match="no encoder") as raised:
        load_verifier(name)
    assert name in raised.value.message
    assert "\n" not in raised.value.message
    assert "hub name while online" in str(raised.value.hint)


def test_the_setting_needs_the_table_that_it_is_shown_in() -> None:
    assert Settings.model_validate({"authorship": "lambdag,style"}).authorship == ("lambdag", "style")
    with pytest.raises(ValueError, match="authorship is shown with trait-fidelity"):
        Settings.model_validate({"authorship": ["style"], "metrics": ["rougeL"]})
