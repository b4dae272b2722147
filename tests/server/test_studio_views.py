"""The map of all users, evaluations, and their export to a file, in a real browser."""

import io
import json
import re
import shutil
from contextlib import ExitStack, suppress

import numpy as np
import polars as pl
import pytest

pytest.importorskip("prometheus_client")

import idiolect as idl
from idiolect.cli.main import main
from idiolect.difference.stylometry import MEASURES
from idiolect.errors import InputError, OutputError
from idiolect.experiments.world import store_world
from idiolect.sandbox.domain import WorldConfig
from idiolect.server.export import MODULES, export_evaluations, script_of
from idiolect.server.studio import page_files
from idiolect.server.voice import SHIPPED_ADAPTER

MANY = 100_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A made-up world with one evaluation, by way of the library."""
    folder = tmp_path_factory.mktemp("world")
    store_world(str(folder / "r.db"), WorldConfig(seed=9, n_users=30, n_items=20, reviews_per_user=(9, 11)))
    split = idl.Store(folder / "r.db").split(folder / "split", preset="small")
    changes = {"metrics": ["rouge1"], "encoder": "style", "resamples": 100}
    idl.evaluate([idl.RAG("fake")], split, out=folder / "runs" / "first", settings=changes)
    shutil.copytree(folder / "runs" / "first", folder / "runs" / "second")
    return folder


@pytest.fixture(scope="module")
def studio(start, world, tmp_path_factory, upstream):
    with ExitStack() as stack:
        endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
        settings = {"store": str(world / "r.db"), "results": (world / "runs",), "endpoint": endpoint}
        settings["adapter"] = SHIPPED_ADAPTER
        yield stack.enter_context(start(tmp_path_factory.mktemp("views"), **settings))


def go(page, studio, address, until):
    page.goto(f"{studio.url}/#/{address}")
    page.wait_for_selector(until)


def unit_table(page, studio):
    page.goto(f"{studio.url}/#/units")
    page.wait_for_selector(".units tbody tr", state="attached")  # it is folded where the adapter explains nothing
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")


def shades(page):
    """How many different colours the map has."""
    image = pytest.importorskip("PIL.Image")
    picture = image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("RGB")
    return len(picture.getcolors(picture.width * picture.height))


def test_the_map_is_searched_hovered_and_cut_out(page, studio, check_access):
    go(page, studio, "map?colour=exclamations", ".maptable tbody tr")
    page.wait_for_function("() => document.querySelector('canvas').width > 300")
    page.wait_for_timeout(50)
    assert shades(page) > 10
    assert page.locator(".maptable tbody tr").count() == 30
    effects = [float(one.replace("\u2212", "-")) for one in page.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert effects == sorted(effects, reverse=True)
    page.get_by_role("combobox", name="Find on the map").fill("u00003")
    page.keyboard.press("Enter")
    page.locator(".near li").first.wait_for()
    assert "user=s9-u00003" in page.url
    page.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(50)
    box = page.locator("canvas").bounding_box()
    page.get_by_role("button", name="Lasso").click()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
    x, y = (
        [box[side] + part[k] * box[size] for part in corners]
        for k, side, size in ((0, "x", "width"), (1, "y", "height"))
    )
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    for place in (1, 2, 3):
        page.mouse.move(x[place], y[place], steps=4)
    page.mouse.up()
    page.get_by_text("30 users chosen (100 %)").wait_for()
    page.locator(".histogram svg").click(position={"x": 3, "y": 10})
    page.get_by_text(re.compile(r"^\d+ users? chosen \(\d+\s%\)")).wait_for()
    page.get_by_label("Across").select_option("length")
    page.get_by_label("Colour", exact=True).select_option("length")
    page.get_by_role("columnheader", name="length").wait_for()
    page.locator("canvas").focus()
    for key in ("+", "ArrowLeft", "0"):
        page.keyboard.press(key)
    check_access(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download table (Parquet)").click()
    found = pl.read_parquet(download.value.path())
    assert found.columns == ["user", "x", "y", "items", *(one.name for one in MEASURES)]
    assert len(found) == 30


def test_of_two_colours_the_one_chosen_last_is_shown(page, studio):
    go(page, studio, "map", ".maptable tbody tr")
    held = []
    page.route("**/v1/map/columns?name=length", lambda route: held.append(route))
    with page.expect_request("**/v1/map/columns?name=length"):
        page.get_by_label("Colour", exact=True).select_option("length")
    page.get_by_label("Colour", exact=True).select_option("exclamations")
    page.get_by_role("columnheader", name="exclamations").wait_for()
    with suppress(Exception):  # nobody waits for it any more
        held[0].fulfill(response=held[0].fetch())
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.get_by_role("columnheader", name="exclamations").count() == 1
    assert "colour=exclamations" in page.url


def test_sliders_are_drawn_once(page, studio):
    go(page, studio, "person?user=s9-u00003", ".reviewlist")
    held = []
    page.route("**/v1/units/user?*", lambda route: held.append(route))
    for _ in range(3):
        page.get_by_text("Turn parts of the voice up or down").click()
    page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    page.get_by_label("The whole difference").wait_for()
    assert len(held) == 1


def test_of_two_methods_texts_those_of_the_one_chosen_last_are_shown(page, studio):
    go(page, studio, "evaluations?run=first", ".samples tbody a")
    select = page.get_by_label("written by")
    first, second = select.locator("option").evaluate_all("all => all.map((one) => one.value)")[:2]
    shown = page.locator(".samples tbody")
    select.select_option(first)
    held = []
    page.route("**/v1/evaluations/samples?*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/v1/evaluations/samples?*"):
        select.select_option(second)
    with page.expect_response("**/v1/evaluations/samples?*"):
        select.select_option(first)
    answer = held[0].fetch().json()
    for sample in answer["samples"]:
        sample["user"] = "somebody else"
    with suppress(Exception):
        held[0].fulfill(json=answer)
    page.evaluate("new Promise(requestAnimationFrame)")
    assert "somebody else" not in shown.inner_text()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible_in_both_themes_and_no_wider_than_the_window(
    page, studio, open_page, page_name, check_access, width
):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    open_page(page, studio, page_name)
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    page.wait_for_load_state("networkidle")
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="dark")
    check_access(page)


TABBABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter((one) => !one.disabled && one.checkVisibility({visibilityProperty: true}))"""
FOCUSED = """() => {
    const at = document.activeElement, all = TABBABLE();
    const rings = [at, at.closest("label")].filter(Boolean).map((one) => getComputedStyle(one).outlineStyle);
    return [all.indexOf(at), rings.some((one) => one !== "none")];
}""".replace("TABBABLE", f"({TABBABLE})")


def test_every_control_of_every_page_is_reached_by_tab_and_shows_it(page, studio, open_page, page_name):
    open_page(page, studio, page_name)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.activeElement.blur()")
    n = page.evaluate(f"({TABBABLE})().length")
    seen = {}
    for _ in range(n + 2):
        page.keyboard.press("Tab")
        place, ring = page.evaluate(FOCUSED)
        seen[place] = ring
    assert set(range(n)) <= set(seen)
    assert [place for place in range(n) if not seen[place]] == []


def tab_to(page, locator):
    """Press Tab until the element has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if locator.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{locator} is not reached")


def test_by_keyboard_from_a_unit_to_its_effect_and_from_an_evaluation_to_a_prompt_and_a_comparison(page, studio):
    effect = {"number": 3, "user": "x", "reviews": 2, "mean": 1.5, "low": 0.5, "high": 2.5, "lost": [2.5, 0.5]}
    page.route("**/v1/units/effect?*", lambda route: route.fulfill(json=effect))
    unit_table(page, studio)
    tab_to(page, page.locator(".units tbody a").first)
    page.keyboard.press("Enter")
    choice = page.get_by_label("Whose reviews")
    first = choice.input_value()
    tab_to(page, choice)
    page.keyboard.press("ArrowDown")
    assert choice.input_value() != first
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("The reviews become less likely").wait_for()
    tab_to(page, page.get_by_role("link", name="Evaluations"))
    page.keyboard.press("Enter")
    page.get_by_role("link", name="first").wait_for()
    tab_to(page, page.get_by_role("link", name="first"))
    page.keyboard.press("Enter")
    page.locator(".samples tbody a").first.wait_for()
    tab_to(page, page.locator(".samples tbody a").first)
    page.keyboard.press("Enter")
    prompt = page.locator(".voice").nth(1).locator("summary", has_text="Prompt as the model got it")
    prompt.wait_for()
    tab_to(page, prompt)
    page.keyboard.press("Enter")
    page.locator(".voice").nth(1).locator("pre").wait_for()
    tab_to(page, page.get_by_role("link", name="Evaluations").last)
    page.keyboard.press("Enter")
    page.get_by_label("With", exact=True).wait_for()
    tab_to(page, page.get_by_role("button", name="Compare"))
    page.keyboard.press("Enter")
    page.get_by_role("rowheader", name="second", exact=True).first.wait_for()


GONE = "The server does not answer."


def test_a_page_that_is_open_says_so_when_the_server_is_gone(page, studio, open_page):
    """Whatever is pressed then, a line says it, and nothing breaks; when it is back, the page goes on."""
    page.expected.append("net::ERR_FAILED")

    def cut(act):
        page.route("**/v1/**", lambda route: route.abort())
        with page.expect_event("requestfailed"):  # the line of an earlier failure may still be there
            act()
        page.get_by_text(GONE).first.wait_for()
        page.unroute("**/v1/**")

    open_page(page, studio, "map")
    cut(lambda: page.get_by_label("Colour", exact=True).select_option("length"))
    page.locator(".toast").first.wait_for(state="detached")
    cut(lambda: page.get_by_label("Across").select_option("length"))
    page.locator(".toast").first.wait_for(state="detached")
    cut(lambda: page.get_by_role("button", name="Download table (Parquet)").click())
    open_page(page, studio, "unit")
    cut(lambda: page.get_by_role("button", name="Measure").click())
    page.locator(".silencing .error", has_text=GONE).wait_for()
    open_page(page, studio, "evaluation")
    page.locator(".toast").first.wait_for(state="detached")
    cut(lambda: page.get_by_label("written by").select_option(index=0))
    cut(lambda: page.locator(".samples tbody a").first.click())
    page.get_by_role("button", name="Try again").click()
    page.locator(".voice.own").wait_for()
    open_page(page, studio, "person")
    cut(lambda: page.get_by_role("button", name="Evidence").first.click())
    page.locator(".evidence .error", has_text=GONE).wait_for()
    cut(lambda: page.get_by_role("button", name="Write", exact=True).click())
    page.locator(".voice .error", has_text=GONE).first.wait_for()
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice:not(.own) footer", has_text="tokens").first.wait_for()


@pytest.mark.parametrize(
    "address", ["person?user=none", "units?unit=4800", "evaluations?run=none", "evaluations?run=first&sample=none",
                "evaluations?run=first&with=none", "nothing"],
)  # fmt: skip
def test_an_address_of_nothing_says_so(page, studio, check_access, address):
    page.expected.append("the server responded with a status of 4")
    page.goto(f"{studio.url}/#/{address}")
    page.locator("#main[aria-busy=false] .empty h1").wait_for()
    assert page.locator(".empty h1").inner_text() in ("Not found", "This did not work", "There is no such page")
    check_access(page)


def test_the_other_pages_of_an_empty_store_say_that_it_is_empty(browser, start, tmp_path, upstream, check_access):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    (tmp_path / "runs").mkdir()
    settings = {"endpoint": endpoint, "adapter": SHIPPED_ADAPTER, "results": (tmp_path / "runs",)}
    with start(tmp_path / "served", **settings) as empty:
        page = browser.new_page()
        page.set_default_timeout(120_000)  # the units load an adapter
        page.goto(f"{empty.url}/#key={empty.key}")
        page.get_by_role("heading", name="No reviews yet").wait_for()
        for address, line in (
            ("map", "No map yet"), ("units", "No units yet"), ("evaluations", "No finished evaluation")
        ):  # fmt: skip
            page.goto(f"{empty.url}/#/{address}")
            page.get_by_text(line).wait_for()
            check_access(page)
        page.close()


def test_a_hundred_thousand_users_are_drawn_and_found(page, studio):
    """How fast that is, benchmarks/bench_studio.py measures."""
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=MANY).astype("<f4").tobytes() for name in ("x", "y", "items", "exclamations")}
    measures = [{"name": "exclamations", "category": "Writing", "more": "shouts", "less": "does not"}]
    axes = [{"explained": 0.2, "measures": [["exclamations", "more"]]}] * 2
    people = json.dumps({"users": [f"u{k}" for k in range(MANY)], "measures": measures, "axes": axes})
    page.route("**/v1/map", lambda route: route.fulfill(body=people, content_type="application/json"))
    page.route("**/v1/map/columns?name=*", lambda route: route.fulfill(body=columns[route.request.url.split("=")[1]]))
    go(page, studio, "map", ".maptable tbody tr")
    assert "100,000 users" in page.inner_text("main")
    assert page.locator(".maptable tbody tr").count() == 100
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".tip .name").wait_for()
    assert re.fullmatch(r"u\d+", page.inner_text(".tip .name"))


def test_units_have_labels_users_and_sliders(page, studio, check_access):
    unit_table(page, studio)
    assert page.locator(".units tbody tr").count() == 48
    check_access(page)
    page.locator(".units tbody a").first.click()
    page.get_by_role("heading", name="Who has it").wait_for()
    assert page.locator(".near a").count() > 3
    page.get_by_text("Texts of several users are not shown on this server").wait_for()
    effect = {"number": 3, "user": "s9-u00003", "reviews": 2, "mean": 1.5, "low": 0.5, "high": 2.5, "lost": [2.5, 0.5]}
    page.route("**/v1/units/effect?*", lambda route: route.fulfill(json=effect))
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("The reviews become less likely").wait_for()
    assert "+1.50 nats per review, interval +0.50 to +2.50, on 2 reviews of s9-u00003" in page.inner_text(".silencing")
    check_access(page)
    page.get_by_role("link", name="Colour the map by it").click()
    page.get_by_role("columnheader", name="unit").wait_for()
    go(page, studio, "person?user=s9-u00003", ".reviewlist")
    page.get_by_text("Turn parts of the voice up or down").click()
    page.get_by_label("The whole difference").wait_for()
    labels = page.locator(".sliders label").all_inner_texts()
    assert len(labels) > 2
    assert all(re.fullmatch(r".*\w{2}.* \(unit \d+\)", one) for one in labels[1:])
    slider = page.get_by_label(labels[1])
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "silent"
    check_access(page)


HOSTILE, SHOWN = "<img src=x onerror=alert(1)>\u202eb\u0007", "<img src=x onerror=alert(1)>⟨U+202E⟩b␇"


def test_labels_of_units_and_samples_of_evaluations_are_text(page, studio):
    def units(route):
        found = route.fetch().json()
        for one in found.get("units", [found]):
            one["label"] = [HOSTILE]
        for one in found.get("have", []):
            one["user"] = HOSTILE
        route.fulfill(json=found)

    def samples(route):
        found = route.fetch().json()
        for one in found["samples"]:
            one |= {"user": HOSTILE, "text": HOSTILE, "reference": HOSTILE}
        found["samples"][0]["failure"] = HOSTILE
        route.fulfill(json=found)

    page.route("**/v1/units*", units)
    page.route("**/v1/units/*", units)
    page.route("**/v1/evaluations/samples?*", samples)
    unit_table(page, studio)
    assert page.locator(".units .chip").first.inner_text() == SHOWN
    go(page, studio, "units?unit=3", ".near")
    assert page.locator(".lead .chip").inner_text() == SHOWN
    assert page.locator(".silencing option").first.text_content() == SHOWN
    assert page.locator(".near li").first.locator("bdi").inner_text() == SHOWN
    go(page, studio, "person?user=s9-u00003", ".reviewlist")
    page.get_by_text("Turn parts of the voice up or down").click()
    page.locator(".slider label bdi").first.wait_for()
    assert SHOWN in page.locator(".slider label bdi").first.inner_text()
    go(page, studio, "evaluations?run=first", ".samples tbody a")
    assert page.locator(".samples tbody tr").first.locator("td").all_inner_texts()[2:] == [SHOWN, SHOWN]
    assert page.locator(".samples tbody a").first.inner_text() == SHOWN
    assert page.locator("#main img").count() == 0


def test_a_steered_text_is_another_one(studio):
    ask = {"user": "s9-u00003", "item": "s9-i00001", "method": "dep", "max_tokens": 12, "seed": 1}
    with studio.http() as http:
        texts = [
            http.post("/v1/write", json={**ask, "units": units}).json()["text"]
            for units in ({}, {str(k): 0 for k in range(48)})
        ]
        refused = http.post("/v1/write", json={**ask, "method": "rag", "units": {"1": 0}})
        unknown = http.post("/v1/write", json={**ask, "units": {"48": 0}})
        assert http.get("/v1/map/columns", params={"name": "unit:48"}).status_code == 400
        top = http.get("/v1/units/unit", params={"number": 3}).json()["top"]
    assert texts[0] != texts[1]
    assert (refused.status_code, unknown.status_code) == (400, 400)
    assert top
    assert not any("text" in one or "peer_text" in one for one in top)


def test_what_a_users_reviews_lose_without_a_unit_is_measured(studio):
    with studio.http() as http:
        units = http.get("/v1/units/user", params={"user": "s9-u00003"}).json()["units"]
        found = http.get("/v1/units/effect", params={"user": "s9-u00003", "number": units[0]["number"]}).json()
        unknown = http.get("/v1/units/effect", params={"user": "s9-u00003", "number": 48})
    assert found["reviews"] == len(found["lost"]) > 2
    assert any(found["lost"])
    assert found["mean"] == pytest.approx(np.mean(found["lost"]))
    assert found["low"] < found["mean"] < found["high"]
    assert unknown.status_code == 400


def test_an_evaluation_leads_from_the_table_to_a_prompt(page, studio, check_access):
    go(page, studio, "evaluations", ".runs a")
    check_access(page)
    page.get_by_role("link", name="first").click()
    page.get_by_role("heading", name="Is the gain personal?").wait_for()
    assert page.locator(".scores tbody tr").first.inner_text().startswith("Non-Perso")
    page.get_by_text("Controls of RAG").click()
    page.get_by_role("rowheader", name="RAG: wrong user").wait_for()
    page.locator(".samples tbody a").first.wait_for()
    check_access(page)
    page.locator(".samples tbody a").first.click()
    page.locator(".voice").nth(2).wait_for()
    assert "run=first&sample=" in page.url
    page.locator(".voice").nth(2).get_by_text("Prompt as the model got it").click()
    assert "You write the review" in page.locator(".voice").nth(2).inner_text()
    assert "Words shared" in page.locator(".voice").nth(2).inner_text()
    check_access(page)
    page.goto(f"{studio.url}/#/evaluations?run=first&with=second")
    page.get_by_role("rowheader", name="first", exact=True).first.wait_for()


def test_soft_tokens_are_shown_where_the_record_has_them_and_never_where_a_user_wrote_brackets(page, studio):
    prompt = "Text: \U0001f37a Voice: []\nVoice: []\nDifference: []"
    places = [[prompt.rindex("Voice: []") + 8, "his"], [len(prompt) - 1, "diff"]]

    def answer(route):
        sample = route.fetch().json()
        changed = {"soft": True, "prompt": prompt}
        sample["conditions"][0] |= {**changed, "virtual_tokens": places}
        sample["conditions"][1] |= {**changed, "virtual_tokens": None}
        route.fulfill(json=sample)

    page.route("**/v1/evaluations/sample?*", answer)
    go(page, studio, "evaluations?run=first", ".samples tbody a")
    page.locator(".samples tbody a").first.click()
    recorded, unknown = (page.locator(".voice").nth(place) for place in (1, 2))
    for voice in (recorded, unknown):
        voice.get_by_text("Prompt as the model got it").click()
    shown = "Text: \U0001f37a Voice: []\nVoice: [soft token]\nDifference: [soft token]"
    assert recorded.locator("pre").text_content() == shown
    assert recorded.locator("pre mark").count() == 2
    unknown.get_by_text("did not record where they stand").wait_for()
    assert unknown.locator("pre").text_content() == prompt


def test_evaluations_are_for_the_operators_key_alone(studio):
    _, reader = studio.services.keys.add("default", ["read", "write", "erase"])
    _, foreign = studio.services.keys.add("foreign") if "{tenant}" in studio.config.store else (None, None)
    with studio.http(reader) as http:
        assert http.get("/v1/evaluations").json()["error"]["code"] == "missing_scope"
        assert http.get("/v1/overview").json()["results"] is False
    assert foreign is None
    with studio.http() as http:
        assert [one["name"] for one in http.get("/v1/evaluations").json()["evaluations"]] == ["first", "second"]
        for name in ("none", "../world", "first/../second", "/etc"):
            assert http.get("/v1/evaluations/report", params={"run": name}).status_code == 404


def test_an_exported_file_opens_without_a_server_and_loads_nothing(browser, world, tmp_path, capsys):
    path = tmp_path / "out.html"
    main(["studio", "--export", str(path), "--results", str(world / "runs")])
    assert "2 evaluations; it holds users' texts" in capsys.readouterr().err
    said, asked = [], []
    page = browser.new_page()
    page.on("console", lambda line: said.append(line.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.get_by_role("link", name="second").click()
    page.locator(".samples tbody a").first.click()
    page.locator(".voice").nth(2).get_by_text("Prompt as the model got it").click()
    page.goto(f"{path.as_uri()}#/evaluations?run=first&with=second")
    page.get_by_role("rowheader", name="first", exact=True).first.wait_for()
    page.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked} == {path.as_uri()}
    assert export_evaluations([world / "runs" / "first"], path) == 1  # an earlier export is replaced
    other = tmp_path / "notes.html"
    other.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError):
        export_evaluations([world / "runs"], other)
    with pytest.raises(InputError):
        export_evaluations([tmp_path / "none"], tmp_path / "x.html")


def test_the_modules_of_an_export_do_not_clash():
    text = script_of(page_files())
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", text, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    assert not re.search(r"^(?:import|export) ", text, flags=re.MULTILINE)
    files = page_files()
    for place, name in enumerate(MODULES):
        assert set(re.findall(r'from "\./([\w.]+)"', files[name].decode())) <= set(MODULES[:place])
