"""The studio on reviews that real people wrote, which are untidy where those of a made-up world are not."""

import gzip
import re
import shutil
from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

pytest.importorskip("prometheus_client")

import idiolect as idl

N_ITEMS, N_USERS = 40, 110


@pytest.fixture(scope="module")
def frames(shared):
    """The reviews of the most reviewed beers by those who wrote most of them, and these beers."""

    def read(name):
        return pl.read_ndjson(gzip.decompress((shared / "data" / "ratebeer" / f"{name}.jsonl.gz").read_bytes()))

    def most(field, among, n):
        return among[field].value_counts().sort(["count", field], descending=[True, False])[field].head(n).to_list()

    reviews = read("reviews")
    reviews = reviews.filter(pl.col("item_id").is_in(most("item_id", reviews, N_ITEMS)))
    reviews = reviews.filter(pl.col("user_id").is_in(most("user_id", reviews, N_USERS)))
    return reviews, read("items").filter(pl.col("item_id").is_in(reviews["item_id"].unique().to_list()))


@pytest.fixture(scope="module")
def rows(frames):
    return [frame.to_dicts() for frame in frames]


@pytest.fixture(scope="module")
def studio(start, frames, tmp_path_factory):
    """A server without an upstream: the model that ships with the package writes."""
    folder = tmp_path_factory.mktemp("real")
    store = idl.Store(folder / "r.db")
    reviews, beers = frames
    assert store.add(reviews, items=beers).accepted == len(reviews) > 500
    store.embed("style")
    split = store.split(folder / "split", preset="small", min_user_reviews=5, min_item_users=3)
    changes = {"metrics": ["rouge1"], "encoder": "style", "resamples": 100}
    idl.evaluate([idl.RAG("fake")], split, out=folder / "runs" / "beers", settings=changes)
    shutil.copytree(folder / "runs" / "beers", folder / "runs" / "ales")
    with start(folder / "served", store=store.path, results=(folder / "runs",)) as running:
        yield running


@pytest.fixture(scope="module")
def people(studio, rows):
    """A user of whom something is claimed and one of whom nothing is, among those who wrote most."""
    found = {}
    with studio.http() as http:
        for user, _ in Counter(row["user_id"] for row in rows[0]).most_common(20):
            card = http.get("/v1/differences", params={"user": user}).json()
            found.setdefault(bool(card["differences"]), (user, card))
            if len(found) == 2:
                return found
    raise AssertionError(f"of all of them something is claimed, or of none: {list(found)}")


def person(page, studio, user):
    page.goto(f"{studio.url}/#/person?user={user}")
    page.wait_for_selector("#main[aria-busy=false] .reviewlist")
    assert page.inner_text("h1") == user


def test_a_real_person_is_shown_with_what_they_wrote(page, studio, rows, people, check_access):
    user, card = people[True]
    own = {row["text"] for row in rows[0] if row["user_id"] == user}
    person(page, studio, user)
    claims = page.locator(".claim")
    assert claims.count() == len(card["differences"])
    quotes = page.locator(".claim blockquote").all_text_contents()
    assert quotes
    assert [quote for quote in quotes if not any(quote in text for text in own)] == []
    claims.first.get_by_role("button", name="Evidence").click()
    evidence = claims.first.locator(".items details").first
    evidence.locator("summary").click()
    evidence.locator("h4", has_text="The user wrote").wait_for()
    assert evidence.locator(".compare .text").first.text_content() in own
    evidence.get_by_text("Others' texts are not shown on this server.").wait_for()
    page.locator("#history .near .pairs li").first.wait_for()
    page.locator("#history").get_by_text("As numbers").click()
    pairs = page.locator("#history .pairnumbers td.numbers").all_inner_texts()
    assert pairs
    assert all(abs(float(one.replace("\u2212", "-"))) >= 0.2 for one in pairs)
    check_access(page)


def test_every_page_of_real_reviews_is_accessible_and_no_wider_than_a_phone(
    page, studio, open_page, page_name, check_access
):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, studio, page_name)
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    page.wait_for_load_state("networkidle")
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_of_a_real_person_who_cannot_be_told_apart_nothing_is_claimed(page, studio, people):
    user, _ = people[False]
    person(page, studio, user)
    page.get_by_role("heading", name="Nothing is claimed").wait_for()
    page.get_by_text("What is seen could be chance").wait_for()
    assert page.locator(".claim").count() == 0


def test_a_beer_is_found_by_its_name_and_the_toy_writes_of_it_and_says_what_it_is(
    page, studio, rows, people, check_access
):
    user, _ = people[True]
    known = {row["item_id"] for row in rows[0] if row["user_id"] == user}
    beer = next(row for row in rows[1] if row["item_id"] not in known)
    person(page, studio, user)
    page.get_by_text("The shipped toy model writes here.").wait_for()
    page.get_by_role("combobox", name="Item").fill(beer["title"][:-1].upper())
    page.get_by_role("option", name=beer["title"]).first.click()
    page.locator("#write").get_by_label("Rating").fill("4")
    page.get_by_role("button", name="Write", exact=True).click()
    voices = page.locator(".voice")
    for place in (0, 1):
        voices.nth(place).locator("footer", has_text="tokens").wait_for()
        voices.nth(place).locator(".text[aria-busy=false]").wait_for()
        assert voices.nth(place).locator(".text").inner_text().strip()
        assert voices.nth(place).locator(".error").count() == 0
        voices.nth(place).locator(".meter, p.small", has_text="the user").first.wait_for()
    assert page.locator(".voice h3").all_inner_texts() == ["Non-Perso", "DEP"]
    assert f"item={beer['item_id']}" in page.url
    check_access(page)


WATCH = """() => {
    window.steps = new Map();
    new MutationObserver((changes) => {
        for (const {target, addedNodes} of changes) {
            const card = target.closest?.(".voice");
            if (!card || !target.classList.contains("text") || addedNodes[0]?.nodeName !== "BDI") continue;
            const name = card.querySelector("h3").textContent;
            window.steps.set(name, [...(window.steps.get(name) ?? []), addedNodes[0].textContent]);
        }
    }).observe(document.querySelector(".voices"), {childList: true, subtree: true});
}"""
"""Notes every text that a card shows, the parts of a growing one included."""


def test_every_text_grows_as_it_is_written_and_a_steered_one_stands_beside(page, studio, people, check_access):
    user, _ = people[True]
    person(page, studio, user)
    page.get_by_text("Turn parts of the voice up or down").click()
    whole = page.get_by_label("The whole difference")
    whole.focus()
    page.keyboard.press("Home")
    assert whole.get_attribute("aria-valuetext") == "silent"
    page.evaluate(WATCH)
    page.get_by_role("checkbox", name="DEP").uncheck()
    page.get_by_role("button", name="Write", exact=True).click()
    names = ["Non-Perso", "DEP, steered"]
    for name in names:
        card = page.locator(".voice", has=page.get_by_role("heading", name=name, exact=True))
        card.locator("footer", has_text="tokens").wait_for()
        card.locator(".text[aria-busy=false]").wait_for()
    steps = page.evaluate("() => Object.fromEntries(window.steps)")
    for name in names:
        growing = steps[name][: 1 + max(range(len(steps[name])), key=lambda k: len(steps[name][k]))]
        assert len(set(growing)) > 3, name
        assert all(after.startswith(before) for before, after in pairwise(growing)), name
    check_access(page)


@pytest.mark.slow
def test_what_is_muted_is_out_of_the_vectors_that_dep_reads_and_the_card_says_so(page, studio, people):
    user, card = people[True]
    person(page, studio, user)
    page.get_by_role("checkbox", name="Non-Perso").uncheck()
    page.get_by_role("button", name="Write", exact=True).click()
    dep = page.locator(".voice", has=page.get_by_role("heading", name="DEP", exact=True))
    dep.locator("footer", has_text="tokens").wait_for()
    difference = card["differences"][0]["difference"]
    claim = page.locator(f'[data-difference="{difference}"]')
    claim.get_by_role("button", name="Mute").click()
    claim.get_by_text("Muted: every method leaves it out.").wait_for()
    dep.locator("footer", has_text=f"muted: {difference}; removed from the vectors").wait_for()
    dep.locator(".again", has_text="The text ").wait_for()
    claim.get_by_role("button", name="Undo").click()
    claim.get_by_role("button", name="Mute").wait_for()


def test_the_units_of_real_reviews_are_listed_and_one_is_silenced(page, studio, check_access):
    page.goto(f"{studio.url}/#/units")
    page.wait_for_selector(".units tbody tr", state="attached")
    page.get_by_text("This adapter explains nothing of these reviews").wait_for()  # the toy was fitted to made-up ones
    page.get_by_text("All 48 units").click()
    assert page.locator(".units tbody tr").count() == 48
    check_access(page)
    page.locator(".units tbody a").first.click()
    page.get_by_role("heading", name="Who has it").wait_for()
    page.get_by_role("button", name="Measure").click()
    effect = page.locator(".silencing p", has_text=re.compile("nats per review|Nothing changes"))
    effect.first.wait_for()
    check_access(page)


def test_an_evaluation_of_real_reviews_says_what_its_scores_mean_and_leads_to_a_text(page, studio, rows, check_access):
    page.goto(f"{studio.url}/#/evaluations")
    page.get_by_role("link", name="beers").click()
    page.get_by_role("heading", name="Is the gain personal?").wait_for()
    page.get_by_role("heading", name="What the scores mean").wait_for()
    heads = page.locator(".scores").first.locator("thead th").all_inner_texts()
    assert [head.split("\n")[0] for head in heads] == ["method", "Surprise", "Words shared"]
    assert ["lower is better" in heads[1], "higher is better" in heads[2]] == [True, True]
    page.locator(".samples tbody a").first.wait_for()
    check_access(page)
    page.locator(".samples tbody a").first.click()
    own = page.locator(".voice.own .text")
    own.wait_for()
    assert own.text_content() in {row["text"] for row in rows[0]}
    check_access(page)


def test_the_map_has_every_real_user_who_can_be_compared(page, studio, rows, check_access):
    page.goto(f"{studio.url}/#/map")
    page.wait_for_selector(".maptable tbody tr")
    with studio.http() as http:
        users = http.get("/v1/map").json()["users"]
        columns = {
            name: np.frombuffer(http.get("/v1/map/columns", params={"name": name}).content, dtype="<f4")
            for name in ("x", "y", "items")
        }
    assert set(users) == {row["user_id"] for row in rows[0]}
    assert f"{N_USERS} users" in page.inner_text("main")
    assert all(len(column) == N_USERS and np.isfinite(column).all() for column in columns.values())
    assert all(len(np.unique(columns[axis].round(3))) > N_USERS / 2 for axis in ("x", "y"))
    assert abs(np.corrcoef(columns["x"], columns["y"])[0, 1]) < 0.9
    check_access(page)
