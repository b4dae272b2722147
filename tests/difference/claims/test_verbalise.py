from __future__ import annotations

from dataclasses import replace

from idiolect.difference.claims.feature import Feature, Measured
from idiolect.difference.claims.taxonomy import KEYS, by_pair
from idiolect.difference.claims.vote import LEAD, NOT_DISTINGUISHABLE, phrase, sentence, verbalise
from idiolect.sandbox.annotations import sentence as planted


def feature(attribute="writing/exclamations", direction="more", comparison="r1", **fields):
    return Feature(name="n", description="d", attribute=attribute, direction=direction, comparison=comparison, **fields)


def pooled(name, difference, attribute=None, direction=None):
    measured = Measured(attribute=attribute or name, difference=difference, low=difference, high=difference)
    return Feature(name=name, attribute=attribute, direction=direction, measured=measured, status="kept")


def test_the_sentence_has_the_form_of_the_planted_ones():
    assert sentence(["hedges every claim", "asks no questions"]) == planted(("hedges every claim", "asks no questions"))
    assert sentence(["a", "b", "c"], k=2) == f"{LEAD} a; b."
    assert sentence([]) == NOT_DISTINGUISHABLE


def test_a_measured_feature_speaks_in_its_measures_words_and_another_in_its_keys():
    assert phrase(pooled("hedges", -1.0, "emotion/politeness", "less")) == "states opinions flatly"
    assert phrase(pooled("verdict_first", 1.0)) == "opens with the verdict"
    for key in KEYS:
        assert phrase(feature(key.attribute, key.direction)) == key.phrase
    assert phrase(feature(attribute=None, direction=None)) is None
    assert phrase(replace(feature(), name="hedges")) == by_pair("writing/exclamations", "more").phrase


def test_what_was_measured_over_all_comes_first_and_an_attribute_is_spoken_of_once():
    said = verbalise(
        [
            feature(),
            feature("pragmatics/quotes", comparison="r1"),
            feature("emotion/tone", "positive", comparison="r1"),
            feature("emotion/tone", "positive", comparison="r2"),
            pooled("exclamations", 3.0, "writing/exclamations", "more"),
        ]
    )
    assert said == f"{LEAD} ends sentences with exclamation marks; takes a more positive tone; quotes more."


def test_what_is_dropped_or_contradicted_is_not_spoken_of():
    dropped = replace(feature(), status="dropped", reason="rejected")
    assert verbalise([dropped]) == NOT_DISTINGUISHABLE
    assert verbalise([feature(), feature(direction="fewer", comparison="r2")]) == NOT_DISTINGUISHABLE
    assert verbalise([replace(pooled("hedges", 1.0), status="dropped")]) == NOT_DISTINGUISHABLE


def test_what_was_measured_in_one_of_several_comparisons_is_left_to_all_of_them():
    once = replace(pooled("hedges", 1.0, "emotion/politeness", "more"), comparison="r1")
    assert verbalise([once]) == f"{LEAD} hedges every claim."
    assert verbalise([once, feature(comparison="r2")]) == f"{LEAD} uses more exclamation marks."


def test_no_word_of_a_model_is_repeated():
    said = verbalise([replace(feature(), name="PWNED", description="PWNED", definition="PWNED")])
    assert "PWNED" not in said
