from __future__ import annotations

import re

import pytest

from idiolect.sandbox.domain import DOMAINS, TemplateFields, WorldConfig, article, contract, load_domain, read
from idiolect.sandbox.items import Catalogue

TABLES = ("words", "genres", "aspects", "places", "themes", "title a", "title b")
SENTENCE_GAPS = {"adj": "fine", "attr": "fine", "bare": "fine", "adj2": "neat", "num": "3", "num2": "4", "num9": "9"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_gap_of_every_phrase_can_be_filled(domain):
    loaded = load_domain(domain)
    judged = {f"aspect {aspect.name}" for aspect in (*loaded.aspects, loaded.whole)}
    for about in Catalogue(WorldConfig(n_items=5, domains=(domain,))).subjects:
        for section, phrases in loaded.formal.items():
            if section not in TABLES and section not in judged:
                for phrase in phrases:
                    filled = phrase.format_map(TemplateFields(about.fields | about.facts[0].fields | SENTENCE_GAPS))
                    assert filled.strip(), (section, phrase)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_is_rich_enough(domain):
    loaded = load_domain(domain)
    assert len(loaded.genres) >= 4
    assert len(loaded.aspects) >= 4
    for aspect in loaded.aspects:
        assert len(aspect.facts) >= 6
        assert all(len(words) >= 3 for words in aspect.attributes.values()), aspect.name


def test_the_bank_holds_thousands_of_phrases_and_no_section_repeats_one():
    total = 0
    for name in ("common", "traits", *DOMAINS):
        for section, phrases in read(name).items():
            assert len(set(phrases)) == len(phrases), (name, section)
            total += sum(len(phrase.split(";")) for phrase in phrases)
    assert total > 2000


@pytest.mark.parametrize("name", ["common", "traits", *DOMAINS])
def test_clauses_start_in_lower_case_and_have_no_full_stop(name):
    capitals = ("headline", "title", "description", "closing", "list", "verdict label", "words", "places", "themes")
    for section, phrases in read(name).items():
        if not section.startswith(capitals):
            for phrase in phrases:
                assert not re.match(r"[A-Z](?!\b|')", phrase), (section, phrase)
                assert not phrase.endswith("."), (section, phrase)


def test_contractions_are_those_people_write():
    assert contract("it is not what I had") == "it's not what I had"
    assert contract("I do not know what it is") == "I don't know what it is"


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("apple", "an apple"), ("unimpeachable meal", "an unimpeachable meal"), ("useful tool", "a useful tool"),
     ("honest book", "an honest book"), ("one-note beer", "a one-note beer"), ("Book", "a Book")],
)  # fmt: skip
def test_articles_follow_the_sound(phrase, expected):
    assert article(phrase) == expected


def test_gaps_derive_articles_and_capitals():
    fields = TemplateFields(genre="ale")
    assert "{A_genre}, {a_genre}, {Genre}".format_map(fields) == "An ale, an ale, Ale"
    with pytest.raises(KeyError):
        "{unknown}".format_map(fields)
