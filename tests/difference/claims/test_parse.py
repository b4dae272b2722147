"""Parsing what extractors write: the papers' blocks, JSON, and everything that is neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.feature import FEATURES_SCHEMA, Feature, Quote
from idiolect.difference.claims.parse import parse, write_blocks
from idiolect.difference.claims.taxonomy import ATTRIBUTES, KEYS

SHORT = "The user writes shorter sentences than others."
CALM = "The user uses fewer exclamation marks than others."

PLAIN = f"""---
[Writing Style]
Definition: Choice of words and syntax.
Difference Description: {SHORT}
---
---
[Punctuation]
Definition: Marks between words.
Difference Description: {CALM}
---"""
INLINE = (
    f"--- [Writing Style] Definition: Choice of words and syntax. Difference Description: {SHORT} "
    f"--- [Punctuation] Definition: Marks between words. Difference Description: {CALM} ---"
)
BOLD = f"""Here is what differs:

```markdown
**[Writing Style]**
**Definition:** Choice of words and syntax.
**Difference Description:** {SHORT}

**[Punctuation]**
*definition*: Marks between words.
*DIFFERENCE DESCRIPTION*: {CALM}
```"""
HEADINGS = f"""### 1. Writing Style
- **Definition**: Choice of words and syntax.
- **Difference Description**: {SHORT}

### 2. Punctuation
- **Definition**: Marks between words.
- **Difference Description**: {CALM}
"""
NUMBERED = f"""1. Feature Name: Writing Style
2. Definition: Choice of words and syntax.
3. Difference Description: {SHORT}
1. Feature Name: Punctuation
2. Definition: Marks between words.
3. Difference Description: {CALM}"""
SHARED_FENCE = PLAIN.replace("---\n---", "---")
NO_FENCE = PLAIN.replace("---\n", "").removesuffix("---")


@pytest.mark.parametrize("text", [PLAIN, INLINE, BOLD, HEADINGS, NUMBERED, SHARED_FENCE, NO_FENCE, PLAIN.lower()])
def test_blocks_are_read_however_they_are_written(text: str):
    features = parse(text, comparison="r1")
    said = [(f.name.lower(), f.definition.lower(), f.description.lower(), f.attribute, f.direction) for f in features]
    assert said == [
        ("writing style", "choice of words and syntax.", SHORT.lower(), "writing/sentence-complexity", "lower"),
        ("punctuation", "marks between words.", CALM.lower(), "writing/exclamations", "fewer"),
    ]
    assert all(f.comparison == "r1" and f.status == "unconfirmed" and not f.stated for f in features)


def test_a_truncated_last_block_is_dropped_and_accounted_for():
    features = parse(PLAIN.removesuffix(" marks than others.\n---"), truncated=True)
    assert [(f.name, f.reason) for f in features] == [("Writing Style", None), ("Punctuation", "format_error")]
    assert [f.reason for f in parse(PLAIN, truncated=True)] == [None, None]


def test_a_block_without_a_description_is_dropped_and_accounted_for():
    (feature,) = parse("---\n[Writing Style]\nDefinition: Choice of words.\n---")
    assert (feature.status, feature.reason) == ("dropped", "format_error")


@pytest.mark.parametrize(
    "text", ["", "The user writes like [others], I cannot tell them apart.", "---\n---", "{}", "[1, 2]"]
)
def test_prose_has_no_features(text: str):
    assert parse(text) == []


def test_quotes_are_credited_by_their_labels_and_parted_at_ellipses():
    text = PLAIN.replace(
        "---\n---", 'Quote: "Loved it ... bought two."\nOther 2 quote: so so\nEvidence (peers): “fine”\n---\n---'
    )
    assert parse(text)[0].quotes == (
        Quote(text="Loved it"),
        Quote(text="bought two."),
        Quote(text="so so", side="peer", peer=1),
        Quote(text="fine", side="peer"),
    )


def test_a_quotation_inside_a_description_is_evidence_and_a_peers_is_not_passed_on():
    text = PLAIN.replace(SHORT, 'The user gushes ("it made my whole day"), others only say "it works just fine".')
    (feature, _) = parse(text)
    assert feature.quotes == (Quote(text="it made my whole day"), Quote(text="it works just fine", side="peer"))
    assert "works" not in feature.description
    assert "made my whole day" in feature.description


def stated(**changes: object) -> dict[str, object]:
    return {
        "name": "Punctuation",
        "definition": "Marks.",
        "description": CALM,
        "category": "Writing",
        "attribute": "writing/exclamations",
        "direction": "fewer",
        "quotes": [{"text": "so so", "side": "peer", "peer": 2}, {"text": "good", "side": "target", "peer": None}],
    } | changes


def test_json_features_are_read_as_stated():
    (feature,) = parse(json.dumps({"features": [stated()]}), comparison="r1")
    assert feature == Feature(
        name="Punctuation",
        definition="Marks.",
        description=CALM,
        category="Writing",
        attribute="writing/exclamations",
        direction="fewer",
        stated=True,
        quotes=(Quote(text="so so", side="peer", peer=1), Quote(text="good")),
        comparison="r1",
    )


def test_json_is_found_in_fences_and_prose_and_saved_from_a_break_in_the_middle():
    whole = json.dumps({"features": [stated(), stated(name="Second"), stated(name="Third")]})
    assert [f.name for f in parse(f"Sure!\n```json\n{whole}\n```\nDone.")] == ["Punctuation", "Second", "Third"]
    assert [f.name for f in parse(whole[: whole.index("Third")])] == ["Punctuation", "Second"]
    assert [f.name for f in parse(whole.replace('"Second",', '"Second"'))] == ["Punctuation", "Third"]


def test_json_outside_the_taxonomy_is_mapped_by_its_words_or_not_at_all():
    other = {"attribute": "other", "direction": "other", "category": "other"}
    mapped, unmapped = parse(json.dumps([stated(**other), stated(**other, name="Humour", description="Jokes more.")]))
    assert (mapped.attribute, mapped.stated) == ("writing/exclamations", False)
    assert (unmapped.attribute, unmapped.category, unmapped.key) == (None, None, None)


def test_the_schema_is_strict_and_offers_the_taxonomy():
    feature = FEATURES_SCHEMA["properties"]["features"]["items"]
    for schema in (FEATURES_SCHEMA, feature, feature["properties"]["quotes"]["items"]):
        assert sorted(schema["required"]) == sorted(schema["properties"])
        assert schema["additionalProperties"] is False
    assert set(feature["properties"]["attribute"]["enum"]) == {*ATTRIBUTES, "other"}
    assert {key.direction for key in KEYS} <= set(feature["properties"]["direction"]["enum"])


LABELS = ["Definition:", "Difference Description:", "Quote:", "Other 2 quote:", "Name:", "[Name]", "1.", "###", "**"]
MARKS = ["---", "```", "...", "\n", " ", "{", "}", "]", '"features": [', '{"name": "x"', ',"quotes": [', '"a b c d"']
PIECES = [*LABELS, *MARKS, "some words", "others"]


@settings(deadline=None, max_examples=40)
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.booleans())
def test_no_text_makes_the_parser_raise(text: str, truncated: bool):
    for feature in parse(text, truncated=truncated):
        assert feature.valid == bool(feature.name and feature.description and feature.reason is None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(stated())), inner, max_size=4),
    max_leaves=4,
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.dictionaries(st.sampled_from([*stated(), "text", "side", "peer"]), json_values, max_size=4), max_size=2)
)
def test_no_json_makes_the_parser_raise(values: list[dict[str, object]]):
    parse(json.dumps({"features": values}))


@pytest.mark.parametrize(
    ("line", "quotes"),
    [
        ('"mine" and "mine too"', ["mine", "mine too"]),
        ('"The barman called it "liquid bread" again."', ['The barman called it "liquid bread" again.']),
        ('""Slow down", they say."', ['"Slow down", they say.']),
        ("no marks", ["no marks"]),
    ],
)
def test_a_quotation_inside_a_quote_does_not_part_it(line: str, quotes: list[str]):
    (found,) = parse(f"---\n[Tone]\nDifference Description: warmer than others\nQuote: {line}\n---")
    assert [quote.text for quote in found.quotes] == quotes


word = st.text("abcdefghijklmnop", min_size=2, max_size=8)
sentence = st.lists(word, min_size=1, max_size=8).map(" ".join).filter(lambda said: said not in ("none", "na"))
"""Where a model has nothing to quote it writes "none"; so that cannot be a quote."""


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(word, sentence, sentence, st.lists(sentence, max_size=2, unique=True)), max_size=4))
def test_blocks_survive_writing_and_reading(parts: list[tuple[str, str, str, list[str]]]):
    features = [
        Feature(name=name, definition=definition, description=said, quotes=tuple(Quote(text=q) for q in quotes))
        for name, definition, said, quotes in parts
    ]
    read = parse(write_blocks(features))
    assert [(f.name, f.definition, f.description, f.quotes) for f in read] == [
        (f.name, f.definition, f.description, f.quotes) for f in features
    ]


def test_written_blocks_hold_no_peers_words():
    feature = Feature(name="Tone", description="warmer", quotes=(Quote(text="theirs", side="peer"), Quote(text="mine")))
    assert "theirs" not in write_blocks([feature])
    assert "mine" in write_blocks([feature])
