"""The studio in a real browser: what a person sees, by mouse and by keyboard, and what must never happen."""

import json
import re
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from idiolect.cli.main import main
from idiolect.difference.stylometry import NAMES
from idiolect.server import launch
from idiolect.server.studio import PAGE, POLICY, page_files
from idiolect.store.sql import SqlStore

ROOT = Path(__file__).parents[2]
HOSTILE = "<img src=x onerror=alert(1)>"
REVERSED = "eve\u202egnp.exe\u0007"
SCRIPT = "<script>alert(1)</script>"


# --- without a browser ---------------------------------------------------------------------------------------------


def test_the_page_and_its_files_need_no_key_and_have_a_strict_policy(server):
    with server.http("none") as http:
        for path in ("/", *(f"/studio/{name}" for name in page_files())):
            answer = http.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = http.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert http.get("/", headers={"host": "evil.example"}).status_code == 421
        assert http.get("/studio/app.js", headers={"origin": "https://evil.example"}).status_code == 403
        assert http.get("/studio/none.js").json()["error"]["code"] == "not_found"
        assert http.get("/studio/../app.py").status_code in (401, 404)
        assert http.get("/v1/overview").status_code == 401
    assert "unsafe" not in POLICY
    assert "default-src 'self'" in POLICY
    assert "frame-ancestors 'none'" in POLICY


def test_nothing_is_loaded_from_elsewhere_and_nothing_becomes_markup():
    for name, content in page_files().items():
        text = content.decode()
        addresses = re.findall(r"https?://[^\s\"'`)]+", text)
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, name
        if name.endswith(".js"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
            ), name
    page = page_files()[PAGE].decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_the_page_can_be_switched_off(start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path, endpoint=endpoint, studio=False) as own, own.http() as http:
        assert http.get("/").status_code == 404
        assert http.get("/v1/overview").status_code == 200


def test_the_studio_of_this_machine_listens_to_it_alone_with_a_key_of_its_own(tmp_path, monkeypatch, capsys):
    served, opened = [], []

    def serve(config, *, ready, quiet):
        served.append(config)
        ready(config.host, config.port or 12345)

    monkeypatch.setattr(launch, "serve", serve)
    monkeypatch.setattr(launch.webbrowser, "open", opened.append)
    store = str(tmp_path / "s.db")
    SqlStore(store).close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        main(["studio", "--store", store, "--port", port, "--set", "host=0.0.0.0"])
    main(["studio", "--store", store, "--no-browser", "--show-peers"])
    assert [(one.host, one.mcp, one.show_peers) for one in served] == [
        ("127.0.0.1", False, False),
        ("127.0.0.1", False, True),
    ]
    assert served[0].port == 0  # the port is taken
    assert len({one.key for one in served} | {""}) == 3
    links = re.findall(r"http://127\.0\.0\.1:\d+/#key=([\w-]+)", capsys.readouterr().err)
    assert links == [one.key for one in served]
    for _ in range(100):
        if opened:
            break
        time.sleep(0.02)
    assert [link.partition("=")[2] for link in opened] == links[:1]
    with pytest.raises(SystemExit):
        main(["studio", "--store", str(tmp_path / "none.db")])
    assert "none.db" in capsys.readouterr().err


def test_types(node_tools):
    tsc = node_tools / ".bin" / "tsc"
    if not tsc.exists():
        pytest.skip("TypeScript is not installed in build/node (npm install --prefix build/node typescript)")
    if not (ROOT / "src").is_dir():
        pytest.skip("the sources are not beside the tests")
    done = subprocess.run([tsc, "-p", ROOT / "tests" / "studio"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


# --- in a browser --------------------------------------------------------------------------------------------------


def writer():
    """An endpoint that streams, and shouts exactly if the prompt says that the user does."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def answer(request: Request):
        body = await request.json()
        shouts = "exclamation marks" in json.dumps(body["messages"])
        text = f"I love it! You must try it! {SCRIPT}" if shouts else f"It is fine and it did its work. {SCRIPT}"
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return {"id": "a", "model": "m-1", "choices": [choice], "usage": usage}

        def events():
            for word in text.split(" "):
                choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
                yield f"data: {json.dumps({'id': 'a', 'model': 'm-1', 'choices': [choice]})}\n\n"
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield f"data: {json.dumps({'id': 'a', 'choices': [end], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


NOT_FOUND = "the server responded with a status of 404"
USERS, ITEMS = ("ann", "bob", "cyd", REVERSED, HOSTILE), 8


def reviews():
    for user in USERS:
        for n in range(ITEMS):
            loud = f"Wow! I love the item {n}! You must try it! It is so good! {SCRIPT}"
            calm = f"The item {n} was fine. I had it with bread and it did what it should. It is not bad at all."
            yield {"user": user, "item": f"i{n}", "text": loud if user in ("ann", HOSTILE) else calm, "rating": 4,
                   "title": SCRIPT, "timestamp": 10**9 + 10**6 * n}  # fmt: skip
    yield {"user": "lone", "item": "nobody-else", "text": "Only I wrote about this, and calmly."}


@pytest.fixture(scope="module")
def studio(start, tmp_path_factory):
    with ExitStack() as stack:
        address = stack.enter_context(start.listening(writer()))
        endpoint = {"base_url": f"{address}/v1", "model": "m-1", "price": {"prompt": 10**6, "completion": 10**6}}
        running = stack.enter_context(start(tmp_path_factory.mktemp("studio"), endpoint=endpoint))
        items = [{"id": f"i{n}", "title": f"{SCRIPT} {n}"} for n in range(ITEMS)]
        with running.http() as http:
            answer = http.post("/v1/reviews/batch", json={"reviews": list(reviews()), "items": items})
            assert answer.json()["reviews_added"] == len(USERS) * ITEMS + 1
        yield running


def person(page, studio, user, **params):
    query = page.evaluate("given => new URLSearchParams(given).toString()", {"user": user, **params})
    page.goto(f"{studio.url}/#/person?{query}")
    page.wait_for_function("user => document.title.slice(0, 3) === user.slice(0, 3)", arg=user)
    page.wait_for_selector("#main[aria-busy=false] .personhead h1")


def write(page):
    """Press Write, once there is an item to write about."""
    page.wait_for_function("() => document.querySelector('#write .item input').value")
    page.get_by_role("button", name="Write", exact=True).click()


def texts(page, selector):
    return [one.inner_text() for one in page.query_selector_all(selector)]


def test_a_key_is_asked_for_and_kept_out_of_the_address(browser, studio):
    context = browser.new_context()
    page = context.new_page()
    page.goto(studio.url)
    page.get_by_label("API key").fill("idl_wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_text("This key is not valid").wait_for()
    page.get_by_label("API key").fill(studio.key)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The difference is the person.").wait_for()
    page.goto(f"{studio.url}/#key={studio.key}")
    page.wait_for_url(f"{studio.url}/")
    context.close()


def test_by_keyboard_from_search_to_evidence_and_a_text(page, studio):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#search")
    with page.expect_response(lambda answer: "q=AN" in answer.url):  # the list of the last letter, not of an earlier
        page.keyboard.type("AN")
    page.get_by_role("option", name="ann").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="ann", exact=True).wait_for()
    assert "user=ann" in page.url
    assert "exclamation marks" in page.inner_text(".claims")
    claim = page.locator('[data-difference="exclamations"]')
    assert "“" in claim.locator("blockquote").first.evaluate("one => getComputedStyle(one, '::before').content")
    claim.get_by_role("button", name="Evidence").focus()
    page.keyboard.press("Enter")
    claim.locator(".items summary").first.wait_for()
    assert "difference=exclamations" in page.url
    first = claim.locator(".items details").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    first.get_by_text("Others' texts are not shown on this server.").wait_for()
    assert "was fine" not in page.inner_text(".differences")
    first.locator("mark.more").first.wait_for()
    assert first.locator("mark.more").first.inner_text() == "!"


def test_enter_takes_the_first_user_listed_and_says_if_nobody_is(page, studio):
    box = page.locator("#search")
    box.fill("zzz")
    box.press("Enter")
    page.locator(".options .none", has_text="no user matches").wait_for()
    assert "person" not in page.url
    box.fill("an")
    box.press("Enter")
    page.get_by_role("heading", name="ann", exact=True).wait_for()


def test_two_voices_and_a_muted_difference_changes_the_next_text(page, studio, check_access):
    person(page, studio, "ann")
    page.get_by_role("checkbox", name="DRP").check()
    write(page)
    voices = page.locator(".voice")
    page.locator(".voice .meter, .voice .small", has_text="like").first.wait_for()
    page.locator(".voice h3", has_text="The user's own text").wait_for()  # of a request of its own
    assert texts(page, ".voice h3") == ["The user's own text", "Non-Perso", "DRP"]
    drp = voices.nth(2)
    drp.locator("footer", has_text="tokens").wait_for()
    drp.locator(".chip", has_text="exclamations ×2").wait_for()
    assert f"I love it! You must try it! {SCRIPT}" in drp.inner_text()
    assert "price 14" in drp.inner_text()
    assert "item=i7" in page.url
    page.locator('[data-difference="exclamations"]').get_by_role("button", name="Mute").click()
    drp = page.locator(".voice").nth(2)
    drp.get_by_text("The text has changed.").wait_for()
    assert drp.locator("h4").all_inner_texts() == ["Before muting", "After muting"]
    before, after = drp.locator(".textpart").all()
    assert ("I love it!" in before.inner_text(), "It is fine" in after.inner_text()) == (True, True)
    after.locator(".chip.muted", has_text="exclamations ×0").wait_for()
    drp.get_by_text("What is muted or corrected does not count here.").nth(1).wait_for()
    before.locator("mark.muted", has_text="!").first.wait_for()
    page.locator(".voice").nth(1).get_by_text("The text is unchanged: it knows nothing of the user.").wait_for()
    muted = page.locator('[data-difference="exclamations"]')
    assert muted.locator(".tag.state").inner_text().lower() == "muted"
    assert drp.get_by_text("What is muted or corrected does not count here.").count() == 2  # one score per text
    assert "exclamation" not in "".join(drp.get_by_text("Unlike the user:").all_inner_texts())
    assert "exclamations" in page.locator("#voiceprint .hushed .name").all_inner_texts()
    check_access(page)
    page.reload()
    muted.get_by_role("button", name="Compare texts with and without").click()
    drp = page.locator(".voice").nth(2)
    drp.get_by_text("The text has changed.").wait_for()
    assert drp.locator("h4").all_inner_texts() == ["As if nothing was muted", "As it is now"]
    page.get_by_role("button", name="Undo").first.click()
    page.locator(".voice").nth(2).get_by_text("I love it!").wait_for()
    claim = page.locator('[data-difference="exclamations"]')
    claim.get_by_role("button", name="Correct").click()
    page.get_by_label("In the user's own words").fill(f"I shout at jam only {SCRIPT}")
    page.get_by_role("button", name="Put it in place").click()
    page.locator(".ownwords", has_text=f"I shout at jam only {SCRIPT}").wait_for()
    page.get_by_role("button", name="Undo").first.click()
    page.locator(".ownwords").wait_for(state="detached")


def test_write_does_not_wait_for_the_users_own_text_which_comes_when_it_is_read(page, studio):
    held = []
    page.route("**/v1/reviews?*limit=1000*", lambda route: held.append(route))
    person(page, studio, "ann", item="i3")
    write(page)
    voices = page.locator(".voices .voice")
    voices.nth(2).locator("footer", has_text="tokens").wait_for()
    voices.nth(1).locator("footer", has_text="tokens").wait_for()
    own = voices.first
    assert (own.is_visible(), len(held)) == (False, 1)
    page.locator("#write").get_by_label("Title").fill("Mine")
    held[0].continue_()
    own.get_by_text("I love the item 3!").wait_for()
    own.locator("mark.more").first.wait_for()
    assert page.locator(".voice h3").all_inner_texts() == ["The user's own text", "Non-Perso", "DRP"]
    assert page.locator("#write").get_by_label("Title").input_value() == "Mine"
    assert page.locator("#write").get_by_label("Rating").input_value() == ""  # what was written, was without
    page.unroute("**/v1/reviews?*limit=1000*")
    page.route("**/v1/reviews?*limit=1000*", lambda route: route.fulfill(json={"reviews": [], "total": 0}))
    page.get_by_role("combobox", name="Item").fill("i4")
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voices .voice").nth(1).locator("footer", has_text="tokens").wait_for()
    page.locator(".voice.own").wait_for(state="detached")  # there is none


def test_items_are_offered_at_once_and_texts_of_another_item_do_not_stay(page, studio, check_access):
    person(page, studio, "ann")
    page.get_by_role("checkbox", name="Non-Perso").check()
    box = page.locator("#write").get_by_role("combobox", name="Item")
    page.wait_for_selector("#history .near")
    box.click()
    options = page.get_by_role("option")
    options.nth(5).wait_for()  # although the box holds the title of one
    assert options.count() == 6
    check_access(page)
    page.keyboard.press("Escape")
    options.first.wait_for(state="hidden")
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice .meter").first.wait_for()
    page.locator("#write").get_by_label("Rating").fill("1")
    page.get_by_text("The texts below are of what was chosen before.").wait_for()
    assert page.locator(".voices.stale .voice").count() > 1
    check_access(page)
    page.locator("#write").get_by_label("Rating").fill("4")
    assert page.locator(".voices.stale").count() == 0
    box.fill(f"{SCRIPT} 3")
    page.get_by_role("option", name=f"{SCRIPT} 3").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".voice").first.wait_for(state="detached")
    assert box.input_value() == f"{SCRIPT} 3"
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice.own", has_text="I love the item 3").wait_for()


def test_an_item_is_chosen_from_what_fits_although_the_answer_is_late(page, studio):
    person(page, studio, "ann")
    box = page.locator("#write").get_by_role("combobox", name="Item")
    page.wait_for_selector("#history .near")
    box.click()
    options = page.get_by_role("option")
    options.nth(5).wait_for()
    held = []
    page.route("**/v1/items?*q=*3*", lambda route: held.append(route))
    with page.expect_request("**/v1/items?*q=*3*"):
        box.fill(f"{SCRIPT} 3")
    assert options.locator("bdi").all_inner_texts() == [f"{SCRIPT} 3"]  # of those that were listed
    page.keyboard.press("ArrowDown")
    held[0].continue_()
    page.locator("#write .combobox [role=status]", has_text=re.compile("^1 suggestion$")).wait_for(state="attached")
    page.keyboard.press("Enter")
    assert box.input_value() == f"{SCRIPT} 3"
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice.own", has_text="I love the item 3").wait_for()
    box.fill("item of nobody")  # nothing is listed: what is typed is an id, when that is known
    assert options.count() == 0
    page.unroute("**/v1/items?*q=*3*")
    box.fill(f"{SCRIPT} 4")
    page.keyboard.press("Enter")  # the answer is not here yet
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice.own", has_text="I love the item 4").wait_for()


def test_what_is_plain_comes_first_and_what_a_user_repeats_is_said(page, studio):
    person(page, studio, "ann")
    repeats = page.locator(".recurring")
    assert "Begins every review with Wow!" in repeats.inner_text()
    assert f"Ends every review with {SCRIPT}" in repeats.inner_text()
    claim = page.locator('[data-difference="exclamations"]')
    assert not re.search(r"p [<=]|deviation", page.locator("#differences").inner_text())
    evidence = claim.get_by_role("button", name="Evidence")
    evidence.click()
    assert (evidence.inner_text(), evidence.get_attribute("aria-expanded")) == ("Hide evidence", "true")
    claim.get_by_text(re.compile("Of claims as sure as this one, .+ are expected to be chance")).wait_for()
    claim.get_by_text("As statistics").click()
    claim.get_by_text("after correction for all measures").wait_for()
    evidence.click()
    assert (evidence.inner_text(), evidence.get_attribute("aria-expanded")) == ("Evidence", "false")
    near = page.locator("#history .near > li").first
    near.get_by_text("Both: ").first.wait_for()
    assert not re.search(r"[+\u2212]\d\.\d\d", near.inner_text())
    page.locator("#history").get_by_text("As numbers").click()
    numbers = page.locator("#history .pairnumbers tbody tr").first
    assert re.search(r"[+\u2212]\d\.\d\d\s+[+\u2212]\d\.\d\d", numbers.inner_text())


def test_every_method_says_in_a_sentence_what_it_does_and_every_measure_is_shown_or_named(page, studio):
    person(page, studio, "ann")
    choices = page.locator("#write .choice")
    for choice in choices.all():
        box = choice.get_by_role("checkbox")
        told = page.locator(f"#{box.get_attribute('aria-describedby')}")
        assert told.is_visible()
        assert len(told.inner_text().split()) > 5
    assert choices.first.locator(".name").inner_text() == "Non-Perso"
    voiceprint = page.locator("#voiceprint")
    shown = voiceprint.locator("li button").count()
    voiceprint.get_by_text(f"on {shown} measures of style").wait_for()
    absent = voiceprint.locator("p", has_text="In none of these reviews").inner_text().count(",")
    assert shown + absent == len(NAMES)


def test_the_start_page_says_what_sets_each_user_apart_unless_it_is_muted(page, studio):
    def told(user):
        card = page.locator(".person", has=page.get_by_text(user, exact=True))
        card.locator(".what", has_not_text="\u2026").wait_for()
        return card.inner_text()

    def home():
        page.goto(f"{studio.url}/#/")
        page.reload()
        page.wait_for_selector(".people .what")

    home()
    difference = re.search(r"\n(.+)\n8 reviews, \d+ differences", told("ann"))[1]
    with studio.http() as http:
        claims = http.get("/v1/differences", params={"user": "ann"}).json()["differences"]
        assert difference.lower() == claims[0]["phrase"].lower()
        for one in claims:
            http.put(f"/v1/differences/{one['difference']}", params={"user": "ann"}, json={"state": "muted"})
        home()
        assert "no clear difference from others" in told("ann").lower()
        for one in claims:
            http.delete(f"/v1/differences/{one['difference']}", params={"user": "ann"})
    assert "no clear difference from others" in told("lone").lower()


def test_texts_names_and_titles_are_shown_and_never_run(page, studio):
    person(page, studio, HOSTILE)
    assert page.inner_text("h1") == HOSTILE
    page.wait_for_selector(".reviewlist")
    assert page.locator("#main script, #main img").count() == 0
    assert SCRIPT in page.inner_text(".reviewlist")
    person(page, studio, REVERSED)
    assert page.inner_text("h1") == "eve⟨U+202E⟩gnp.exe␇"
    assert page.evaluate("() => document.querySelector('h1 bdi') !== null")
    page.expected.append("TrustedHTML")
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
    )
    assert refused


def test_what_is_offered_while_one_types_is_text(page, studio):
    twins = [{"id": f"{HOSTILE}{n}", "title": f"twin {REVERSED}"} for n in range(2)]
    with studio.http() as http:
        assert http.post("/v1/reviews/batch", json={"items": twins}).is_success
    page.focus("#search")
    for typed, shown in (("<img", HOSTILE), ("gnp", "eve⟨U+202E⟩gnp.exe␇")):
        page.locator("#search").fill(typed)
        page.locator("[role=option] bdi", has_text=shown).wait_for()
    person(page, studio, "ann")
    page.locator("#write").get_by_role("combobox", name="Item").fill("twin")
    for n in range(2):
        option = page.locator("#write [role=option]", has_text=f"{HOSTILE}{n}")
        option.wait_for()  # the id stands beside a title that two have
        assert option.locator("bdi").first.inner_text() == "twin eve⟨U+202E⟩gnp.exe␇"
        assert option.locator("img").count() == 0
    assert page.locator("#main img, header img").count() == 0


def test_a_page_whose_files_come_late_does_not_replace_a_newer_one(page, studio):
    held = []
    page.route("**/studio/map.js", lambda route: held.append(route))
    with page.expect_request("**/studio/map.js"):
        page.evaluate("location.hash = '#/map'")
    person(page, studio, "ann")
    held[0].continue_()
    page.evaluate("import('/studio/map.js').then(() => new Promise(requestAnimationFrame))")
    assert page.locator("#main h1").inner_text() == "ann"


def test_until_the_next_page_is_here_nothing_of_the_last_one_can_be_pressed(page, studio):
    person(page, studio, "ann")
    held = []
    page.route("**/v1/differences?user=bob", lambda route: held.append(route))
    page.get_by_role("button", name="Correct").first.click()
    with page.expect_request("**/v1/differences?user=bob"):
        page.evaluate("location.hash = '#/person?user=bob'")
    assert page.locator("dialog").count() == 0
    assert page.locator("#main h1").inner_text() == "ann"
    assert page.locator("#main > :not([inert])").count() == 0
    held[0].continue_()
    page.get_by_role("heading", name="bob", exact=True).wait_for()
    assert page.locator("#main > [inert]").count() == 0


def test_a_card_that_was_read_before_the_last_change_is_not_shown(page, studio):
    person(page, studio, "ann")
    claims = page.locator(".claims > li")
    names = [claims.nth(n).get_attribute("data-difference") for n in (0, 1)]
    held, cards = [], []
    page.route("**/v1/differences?user=ann", lambda route: route.continue_() if held else held.append(route))
    for name in names:
        with page.expect_request("**/v1/differences?user=ann"):
            page.locator(f'[data-difference="{name}"]').get_by_role("button", name="Mute").click()
        with studio.http() as http:
            cards.append(http.get("/v1/differences", params={"user": "ann"}).json())
    page.locator(f'[data-difference="{names[1]}"].muted').wait_for()
    with suppress(Exception):  # nobody waits for it any more
        held[0].fulfill(json=cards[0])
    page.evaluate("new Promise(requestAnimationFrame)")
    shown = [page.locator(f'[data-difference="{name}"].muted').count() for name in names]
    with studio.http() as http:
        for name in names:
            assert http.delete(f"/v1/differences/{name}", params={"user": "ann"}).status_code == 200
    assert shown == [1, 1]


def test_a_review_that_is_sent_twice_is_added_once(page, studio):
    with studio.http() as http:
        rows = [{"user": "dot", "item": f"i{n}", "text": "Short and dry.", "timestamp": 10**9 + n} for n in range(4)]
        assert http.post("/v1/reviews/batch", json={"reviews": rows}).status_code == 200
    person(page, studio, "dot")
    page.get_by_text("Add a review and see the card change").click()
    form = page.locator(".add")
    form.get_by_role("combobox", name="Item").fill("i6")
    form.get_by_label("What they wrote").fill("This one is so good!")

    def lose(route):
        route.fetch()
        route.abort()

    page.expected.append("net::ERR_FAILED")
    page.route("**/v1/reviews", lose, times=1)
    form.get_by_role("button", name="Add the review").click()
    page.locator(".toast.error").wait_for()
    page.wait_for_timeout(1100)  # another second is another time
    form.get_by_role("button", name="Add the review").click()
    page.locator(".toast", has_text="Added").wait_for()
    with studio.http() as http:
        assert http.get("/v1/profile", params={"user": "dot"}).json()["reviews"] == 5
        assert http.delete("/v1/users", params={"user": "dot"}).status_code == 200


def test_a_receipt_that_comes_late_does_not_replace_a_newer_page(page, studio):
    with studio.http() as http:
        page.expected.append(NOT_FOUND)  # of a user with one review nobody is the nearest
        row = {"user": "tim", "item": "i1", "text": "Short and dry."}
        assert http.post("/v1/reviews", json=row).status_code == 200
    person(page, studio, "tim")
    held = []
    page.route("**/v1/users?user=tim", lambda route: held.append(route))
    page.get_by_role("button", name="Forget …").click()
    page.get_by_label("Type the user's id to confirm").fill("tim")
    with page.expect_request("**/v1/users?user=tim"):
        page.get_by_role("button", name="Forget", exact=True).click()
    person(page, studio, "ann")
    held[0].continue_()
    page.locator(".toast", has_text="Forgotten: 1 review and everything made from them are gone.").wait_for()
    assert page.locator("#main h1").inner_text() == "ann"
    assert "user=ann" in page.url


def test_a_review_is_added_and_a_user_is_forgotten_with_a_receipt(page, studio):
    with studio.http() as http:
        rows = [{"user": "zed", "item": f"i{n}", "text": "Short and dry.", "timestamp": 10**9 + n} for n in range(4)]
        assert http.post("/v1/reviews/batch", json={"reviews": rows}).status_code == 200
    person(page, studio, "zed")
    page.get_by_text("Add a review and see the card change").click()
    form = page.locator(".add")
    form.get_by_role("combobox", name="Item").fill("i5")
    form.get_by_label("What they wrote").fill("Wow! This one is so good! Buy it! Now!")
    form.get_by_role("button", name="Add the review").click()
    page.locator(".toast", has_text="Added. The card moved most on").wait_for()
    assert "5 reviews" in page.inner_text(".facts")
    page.get_by_role("button", name="Forget …").click()
    confirm = page.get_by_role("button", name="Forget", exact=True)
    assert confirm.is_disabled()
    page.get_by_label("Type the user's id to confirm").fill("zed")
    confirm.click()
    page.get_by_role("heading", name="Forgotten").wait_for()
    assert "5 reviews and everything made from them are gone." in page.inner_text("main")
    page.expected.append(NOT_FOUND)
    page.goto(f"{studio.url}/#/person?user=zed")
    page.get_by_role("heading", name="Not found").wait_for()


def test_without_peers_and_in_little_text_the_page_says_so(page, studio):
    page.expected.append(NOT_FOUND)  # of the nearest people
    person(page, studio, "lone")
    assert "Nothing is claimed" in page.inner_text("main")
    assert "nobody else wrote about the same items" in page.inner_text(".facts")
    page.get_by_text("The user cannot be compared with anybody.").wait_for()


def test_an_empty_store_says_how_to_fill_it(browser, start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path, endpoint=endpoint) as empty:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{empty.url}/#key={empty.key}")
        page.get_by_role("heading", name="No reviews yet").wait_for()
        url = empty.url
    page.goto(f"{url}/#/person?user=ann")  # the server is gone: only the address changes
    page.get_by_text("The server does not answer.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("The server does not answer.").wait_for()
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_accessible_and_within_the_window(browser, studio, check_access, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{studio.url}/#key={studio.key}")
    page.wait_for_selector(".people")
    check_access(page)
    person(page, studio, "ann", difference="exclamations", item="i7", methods="nonpersonalized,drp")
    page.wait_for_selector(".voice .meter")
    page.locator(".items summary").first.click()
    page.wait_for_selector(".compare mark")
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#voiceprint details").get_attribute("open") == ("" if width > 1000 else None)
    context.close()
