"""A published data set's own roles as a split: data in the layout of DPL-main, users of several categories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import idiolect as idl
from idiolect.cli.main import main
from idiolect.data.published import published_roles
from idiolect.errors import InputError
from idiolect.llm.base import SamplingParams
from idiolect.pipeline.data import Data
from idiolect.pipeline.settings import Settings

CATEGORIES = ("Books", "Movies_and_TV", "CDs_and_Vinyl")
SPLITS = ("train", "val", "test")
USERS = {"Books": range(6), "Movies_and_TV": range(3, 12), "CDs_and_Vinyl": range(5, 11)}
"""Users 3, 4 write in two categories, 5 in three."""
BASE, TRAIN = 4, 3


def review(category: str, user: int, place: int) -> dict[str, Any]:
    item = (user + place) % 7 if place < BASE else 10 + (user * 3 + place) % 9
    return {
        "rating": float(1 + place % 5),
        "title": f"{place} by {user}",
        "text": f"what user {user} says of {category} number {place}",
        "asin": f"A{item}",
        "timestamp": 1_600_000_000_000 + 86_400_000 * (place // 2),
    }


def rows(category: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Profiles grow by the target before; times tie in pairs, as in the published set."""
    for user in USERS[category]:
        history = [review(category, user, place) for place in range(BASE + TRAIN + 2)]
        for place in range(BASE, BASE + TRAIN + 2):
            split = SPLITS[max(0, place - BASE - TRAIN + 1)]
            yield split, {"user_id": f"u{user}", "profile": history[:place], "data": history[place]}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "DPL-main"
    for category in CATEGORIES:
        (folder / category).mkdir(parents=True)
        for split in SPLITS:
            own = [json.dumps(row) for role, row in rows(category) if role == split]
            (folder / category / f"{split}-00000-of-00001.jsonl").write_text("\n".join(own) + "\n")
    return folder


def targets(split: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Target and profile of every row, by user of a category and title."""
    return {
        (f"{category}/{row['user_id']}", row["data"]["title"]): row["profile"]
        for category in CATEGORIES
        for role, row in rows(category)
        if role == split
    }


@pytest.mark.parametrize("pseudonyms", [False, True])
def test_every_target_of_users_of_several_categories_is_recovered(
    published: Path, tmp_path: Path, pseudonyms: bool
) -> None:
    store = idl.Store(tmp_path / "s.db", pseudonyms=tmp_path / "key" if pseudonyms else None)
    store.add(published)
    split = store.split(tmp_path / "split", source=published)
    n = sum(map(len, USERS.values()))
    counts = split.counts
    assert (counts.users, counts.profile, counts.train, counts.validation, counts.test) == (n, 4 * n, 3 * n, n, n)
    assert counts.absent == 0
    for role, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        with store.open() as database:
            found = database.reviews(split.ids(role))
        wanted = targets(name)
        assert len(found) == len(wanted)
        assert {one.title for one in found} == {title for _, title in wanted}
        if not pseudonyms:
            assert {(one.user, one.title) for one in found} == set(wanted)


def test_a_target_is_written_from_the_profile_that_was_published_with_it(published: Path, tmp_path: Path) -> None:
    store = idl.Store(tmp_path / "s.db")
    store.add(published)
    store.split(tmp_path / "split", source=published)
    store.embed("hash:8")
    settings = Settings(
        encoder="hash:8", context={"k": 0}, controls=(), targets={"train_per_user": "all"}, sampling=SamplingParams()
    )
    with store.open() as database:
        from idiolect.encoders import load_encoder

        data = Data(database, tmp_path / "split", settings, encoder=load_encoder("hash:8"))
        for phase, name in (("fit", "train"), ("validation", "val"), ("test", "test")):
            samples = data.samples(phase)
            wanted = targets(name)
            assert len(samples) == len(wanted)
            for context in data.contexts(phase).build(samples):
                profile = wanted[context.sample.user, context.sample.title]
                shown = [entry.review.title for entry in context.entries]
                assert shown == [one["title"] for one in reversed(profile)]


def test_the_command_says_what_came_from_where(published: Path, tmp_path: Path, capsys: Any) -> None:
    where = ["--store", str(tmp_path / "s.db"), "--out", str(tmp_path / "split")]
    main(["ingest", str(published), "--store", str(tmp_path / "s.db"), "--quiet"])
    main(["split", *where, "--from-source", str(published)])
    out = capsys.readouterr().out
    assert "21 users: 84 profile reviews, 63 train, 21 validation and 21 test targets" in out
    assert "189 have a role in" in out
    assert idl.Split(tmp_path / "split", tmp_path / "s.db").counts.test == 21


def test_a_store_without_these_reviews_is_refused(published: Path, tmp_path: Path) -> None:
    store = idl.Store(tmp_path / "s.db")
    store.add([{"user": "ann", "item": "tea", "text": "Mild."}])
    with pytest.raises(InputError, match="the store has none of the 189 reviews"):
        store.split(tmp_path / "split", source=published)


def test_reviews_that_were_forgotten_are_counted(published: Path, tmp_path: Path) -> None:
    store = idl.Store(tmp_path / "s.db")
    store.add(published)
    store.forget("Books/u3")
    split = store.split(tmp_path / "split", source=published)
    assert (split.counts.absent, split.counts.test) == (9, 20)
    assert "Movies_and_TV/u3" in split.users


def test_files_that_say_nothing_of_roles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text(json.dumps({"user": "ann", "item": "tea", "text": "Mild."}) + "\n")
    with pytest.raises(InputError, match="does not say which reviews are"):
        published_roles(path)


def test_lamp_questions_have_the_role_of_their_file(tmp_path: Path) -> None:
    for split, user in (("train", "1"), ("dev", "2")):
        profile = [{"id": "p", "text": f"an article {user}", "title": f"a {user}"}]
        question = {"id": user, "input": "?", "profile": profile}
        (tmp_path / f"{split}_questions.json").write_text(json.dumps([question]))
        golds = {"task": "LaMP_4", "golds": [{"id": user, "output": f"headline {user}"}]}
        (tmp_path / f"{split}_outputs.json").write_text(json.dumps(golds))
    assert sorted(published_roles(tmp_path).values()) == ["profile", "profile", "train", "validation"]


@pytest.mark.parametrize("given", [("--preset", "dpl"), ("--set", "min_user_reviews=2")])
def test_a_threshold_that_would_change_nothing_is_refused(tmp_path: Path, given: tuple[str, str], capsys) -> None:
    idl.Store(tmp_path / "s.db").add([{"user": "u", "item": "i", "text": "words"}])
    where = ["--store", str(tmp_path / "s.db"), "--out", str(tmp_path / "split")]
    with pytest.raises(SystemExit) as stop:
        main(["split", *where, "--from-source", str(tmp_path), *given])
    assert stop.value.code == 2
    assert "would change nothing" in capsys.readouterr().err
    assert not (tmp_path / "split").exists()
