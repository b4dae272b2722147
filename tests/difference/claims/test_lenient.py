"""JSON as models write it: damaged, wrapped, cut off; and no text that takes long or makes the reader raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.lenient_json import _Reader, objects, read_values, says_none
from idiolect.difference.claims.parse import parse, unreadable

SAID = "The user ends more sentences with exclamation marks than others do."
FIELDS = {"name": "Marks", "definition": "signs", "description": SAID, "category": "Writing", "quotes": []}
WHOLE = json.dumps({"features": [FIELDS]})
BARE = json.dumps(FIELDS)


def swapped(text: str, opening: str, closing: str) -> str:
    """The text with other quotation marks."""
    parts = text.split('"')
    return "".join(part + (opening if k % 2 == 0 else closing) for k, part in enumerate(parts[:-1])) + parts[-1]


VARIANTS = {
    "raw line break": WHOLE.replace("exclamation marks", "exclamation\nmarks\tand"),
    "escaped apostrophe": WHOLE.replace("The user", "The user\\'s texts"),
    "one object": BARE,
    "JSON lines": f"{BARE}\n{BARE}",
    "fenced lines": f"```json\n{BARE}\n```\nand\n```\n{BARE}\n```",
    "curly": swapped(WHOLE, "“", "”"),
    "curly, all opening": swapped(WHOLE, "“", "“"),
    "low": swapped(WHOLE, "„", "“"),
    "single": swapped(WHOLE, "'", "'").replace("The user", "The user doesn't sigh and"),
    "curly single": swapped(WHOLE, "‘", "’").replace("The user", "The user doesn’t sigh and"),
    "mixed marks": WHOLE.replace('"name"', "“name”").replace('"Marks"', "'Marks'"),
    "Python": repr({"features": [FIELDS | {"quotes": None, "stated": True}]}),
    "trailing commas": WHOLE.replace("[]", "[],").replace("}]}", "},],}"),
    "comments": WHOLE.replace("[{", "[ // the first\n{ /* fields */ # more\n"),
    "keys without quotes": WHOLE.replace('"name":', "name:").replace('"description":', "description :"),
    "quotes inside": WHOLE.replace("others do.", 'others do, as in "wow!", and so on.'),
    "wide colons and commas": WHOLE.replace('": ', '"：').replace('", ', '"，'),
    "closing brackets missing": WHOLE[:-1],
    "wrong closing bracket": WHOLE.replace("[]}]}", "[]]}"),
    "a list": json.dumps([FIELDS]),
    "by name": json.dumps({"Marks": {"definition": "signs", "description": SAID}}),
    "other names": json.dumps([{"Feature Name": "Marks", "difference-description": SAID}]),
    "prose around": f"Sure {{as asked}}: [see below]\n{WHOLE}\nIs that 'fine'?",
    "cut off in the next": WHOLE[:-2] + ', {"name": "Tone", "descr',
}


@pytest.mark.parametrize("how", VARIANTS)
def test_a_feature_is_read_however_it_is_written(how: str):
    features = parse(VARIANTS[how], comparison="r1")
    assert {feature.name for feature in features} == {"Marks"}
    assert all(feature.attribute == "writing/exclamations" and feature.valid for feature in features)
    assert not unreadable(VARIANTS[how], features)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"features": []}', 'So: {"features": [ ]}.', "{'features': None}", "None.", "N/A", "---\nNone\n---",
     "There are no notable differences.", "The user does not differ from the others.", "I cannot tell them apart.",
     "Nothing in the style distinguishes this user from the others."],
)  # fmt: skip
def test_that_there_is_none_is_an_answer(text: str):
    assert parse(text) == []
    assert not unreadable(text, [])


@pytest.mark.parametrize(
    "text",
    ["", " ", "Certainly! Here is what differs:", '{"features": [', WHOLE[:-9], "[1, 2]", "I'm sorry, I can't do that.",
     "The length does not differ, but the tone is warmer.", '{"error": "overloaded"}', '{"features": "see above"}',
     "Der Nutzer schreibt wärmer."],
)  # fmt: skip
def test_what_cannot_be_read_is_not_none(text: str):
    assert unreadable(text, parse(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text(min_size=1, max_size=4), json_values, max_size=4), st.booleans(), st.none() | st.just(1))
def test_what_is_right_is_read_as_the_standard_reads_it(value: dict[str, Any], ascii_only: bool, indent: int | None):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert _Reader(text).read(0) == ([value], len(text))


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "'",
    "“",
    "”",
    "\\",
    "\\u",
    "\\ud800",
    "\n",
    "/*",
    "*/",
    "//",
    "#",
    "`",
    " ",
]
MORE = ["name", '"name"', '"description": "x y z"', "True", "null", "-1.5e3", '{"a": ', '"b",', "é", "{'"]


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60) | st.lists(st.sampled_from([*PIECES, *MORE]), max_size=40).map("".join))
def test_no_text_makes_the_reader_raise_or_gives_what_cannot_be_written(text: str):
    values = read_values("{" + text)
    assert all("name" in value or "Name" in value for _, value in objects(values, "name"))
    says_none(values, "features")
    for feature in parse(text):
        (feature.name + feature.description).encode()


@pytest.mark.parametrize(
    "unit", ['{"a":', '{"a":"', "[", "{", '"', "{'", '{"a":"x" ', "/*", '{"a":/*', '" ,  ', "[]{}", "\\"]
)
@pytest.mark.parametrize("head", ["", '["', '{"a": "', '{"b":'])
def test_no_long_text_is_read_again_and_again(head: str, unit: str):
    """Time is linear: the standard decoder is tried a few times at most, and every string is looked for once."""
    read_values(head + unit * (20_000 // len(unit)))


def test_lone_surrogates_do_not_reach_a_file():
    (feature,) = parse('{"name": "a\\ud800", "description": "Warmer \\ud83d\\ude00 than\\udc00 others"}')
    assert (feature.name, feature.description) == ("a\ufffd", "Warmer 😀 than\ufffd others")
