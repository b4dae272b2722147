from __future__ import annotations

import pytest

from idiolect.metrics.meteor import SYSTEM_FOLDER, Meteor

pytestmark = pytest.mark.skipif(
    not (SYSTEM_FOLDER / "data.noun").is_file(), reason=f"no WordNet in {SYSTEM_FOLDER} (apt install wordnet-base)"
)


@pytest.fixture(scope="module")
def meteor() -> Meteor:
    return Meteor(SYSTEM_FOLDER)


def test_gives_the_value_that_nltk_documents(meteor: Meteor) -> None:
    prediction = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert meteor.segments([prediction], [reference])[0, 0] == pytest.approx(0.6944, abs=5e-5)


def test_synonyms_match(meteor: Meteor) -> None:
    assert meteor.segments(["my car is fast"], ["my auto is fast"])[0, 0] == pytest.approx(1 - 0.5 / 4**3)


def test_punctuation_is_split_from_words_and_case_ignored(meteor: Meteor) -> None:
    glued, apart = meteor.segments(["GREAT album, really."] * 2, ["great album, really.", "great album , really ."])[
        :, 0
    ]
    assert glued == apart == pytest.approx(1 - 0.5 / 5**3)


def test_a_single_matching_word_pays_the_whole_penalty(meteor: Meteor) -> None:
    assert meteor.segments(["fine"], ["fine"])[0, 0] == pytest.approx(0.5)


def test_its_signature_names_tokenizer_and_wordnet(meteor: Meteor) -> None:
    assert "|tok:NLTKWordTokenizer|stem:porter|wordnet:3.0-system|" in str(meteor.signature())
