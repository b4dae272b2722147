"""How fast the studio is, as ratios to an empty page of the same server in the same browser.

    python benchmarks/bench_studio.py --store demo/reviews.db [--repeats 9] [--users 100000]

It opens ``idiolect studio`` on a store and drives Chromium: first contentful paint of an empty page (the table of
routes at ``/docs``), of the start page and of a person's page; time from an input to the end of the next frame for
opening evidence, switching the theme and a letter in the search, beside a click on nothing; and, with made-up users in
place of the store's, a hover with a zoom on the map. The things that are compared take turns, so that what else the
machine does meets all of them; beside the time by the clock stands the processor time of the page's main thread, which
other work changes least. Each figure is a median with the quartiles; a ratio is taken within a turn. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

PAINT = """() => new Promise((done) => {
  const found = performance.getEntriesByName("first-contentful-paint")[0];
  if (found) done(found.startTime);
  else new PerformanceObserver((list) => done(list.getEntries()[0].startTime)).observe({type: "paint", buffered: true});
})"""
ACT = """async ([selector, letter]) => {
  const target = document.querySelector(selector), started = performance.now();
  if (letter) { target.value = letter; target.dispatchEvent(new InputEvent("input", {bubbles: true})); }
  else target.click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - started;
}"""
MOVE = """async () => {
  const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect(), times = [];
  for (let k = 0; k < 40; k += 1) {
    const started = performance.now(), place = {clientX: box.left + 100 + 10 * k, clientY: box.top + 200};
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
    canvas.dispatchEvent(new WheelEvent("wheel", {...place, deltaY: k % 2 ? 40 : -40}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - started);
  }
  return times;
}"""
PATHS = {"empty": "docs", "start": "", "person": "?again#/person?user={user}"}
ACTS = {"nothing": ("#main", ""), "evidence": (".toggle", ""), "theme": (".icon", ""), "search": ("#search", "a")}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 2), "low": round(low, 2), "high": round(high, 2)}


def compared(turns: Sequence[Mapping[str, tuple[float, float]]], base: str) -> dict[str, Any]:
    """Each of what took turns in milliseconds, by the clock and of the processor, and as ratios to ``base``."""
    found: dict[str, Any] = {}
    for k, kind in enumerate(("ms", "processor_ms")):
        found[kind] = {name: spread([turn[name][k] for turn in turns]) for name in turns[0]}
        ratios = {name: [turn[name][k] / turn[base][k] for turn in turns] for name in turns[0] if name != base}
        found[kind.replace("ms", "ratio")] = {name: spread(values) for name, values in ratios.items()}
    return found


def clock(page: Any) -> Callable[[], float]:
    """Processor time of the page's main thread until now, in milliseconds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    return used


def paint(context: Any, link: str, path: str) -> tuple[float, float]:
    """First contentful paint of an address, in a page of its own, and the main thread's processor time until then."""
    page = context.new_page()
    used = clock(page)
    page.goto(f"{link.partition('#')[0]}{path}", wait_until="commit")
    found = page.evaluate(PAINT), used()
    page.close()
    return found


def act(page: Any, used: Callable[[], float], selector: str, letter: str) -> tuple[float, float]:
    """Time of an input until its frame is done, and the main thread's processor time for it."""
    page.wait_for_timeout(300)  # what the last one asked the server for is drawn
    before = used()
    return page.evaluate(ACT, [selector, letter]), used() - before


def on_map(context: Any, link: str, users: int) -> dict[str, Any]:
    """Time to draw the map of so many made-up users, and of a hover with a zoom on it."""
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=users).astype("<f4").tobytes() for name in ("x", "y", "items", "length")}
    people = {
        "users": [f"u{k}" for k in range(users)],
        "measures": [{"name": "length", "category": "Semantics", "more": "writes at length", "less": "writes briefly"}],
        "axes": [{"explained": 0.2, "measures": [["length", "more"]]}] * 2,
    }
    page = context.new_page()
    page.route("**/v1/map", lambda route: route.fulfill(body=json.dumps(people), content_type="application/json"))
    page.route("**/v1/map/columns?name=*", lambda route: route.fulfill(body=columns[route.request.url.split("=")[1]]))
    page.goto(f"{link.partition('#')[0]}#/map")
    page.wait_for_selector(".maptable tbody tr")
    drawn = page.evaluate("performance.now()")
    found = {"drawn_ms": round(drawn), "hover_and_zoom_ms": spread(page.evaluate(MOVE))}
    page.close()
    return found


def main() -> None:
    """All figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--users", type=int, default=100_000)
    given = parser.parse_args()
    command = [sys.executable, "-m", "idiolect", "studio", "--store", given.store, "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process, sync_playwright() as playwright:
        assert process.stderr is not None
        link = next(found[0] for line in process.stderr if (found := re.search(r"http\S+", line)))
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(link)
        user = page.locator(".person .name").first.inner_text()
        page.goto(f"{link.partition('#')[0]}#/person?user={user}")
        page.wait_for_selector(".reviewlist")
        page.wait_for_load_state("networkidle")
        turns = range(given.repeats)
        paints = [{name: paint(context, link, path.format(user=user)) for name, path in PATHS.items()} for _ in turns]
        used = clock(page)
        acts = [{name: act(page, used, *what) for name, what in ACTS.items()} for _ in range(2 * len(turns))]
        maps = {f"map_of_{n}": on_map(context, link, n) for n in (1000, given.users)}
        browser.close()
        process.terminate()
    found = {"first_paint": compared(paints, "empty"), "interaction": compared(acts, "nothing"), **maps}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
