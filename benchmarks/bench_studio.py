"""How fast the studio is, as ratios to an empty page of the same server in the same browser.

    python benchmarks/bench_studio.py --store demo/reviews.db [--repeats 5] [--users 100000]

It opens ``idiolect studio`` on a store and drives Chromium: first contentful paint of an empty page (the table of
routes at ``/docs``), of the start page and of a person's page; time from a click to the next frame for opening
evidence, switching the theme and typing in the search; and, with made-up users in place of the store's, a hover and a
zoom on the map. Medians, in milliseconds. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

PAINT = """() => new Promise((done) => {
  const found = performance.getEntriesByName("first-contentful-paint")[0];
  if (found) done(found.startTime);
  else new PerformanceObserver((list) => done(list.getEntries()[0].startTime)).observe({type: "paint", buffered: true});
})"""
CLICK = """async (selector) => {
  const target = document.querySelector(selector), started = performance.now();
  target.click();
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
  return times.sort((a, b) => a - b)[20];
}"""


def paint(context: Any, link: str, path: str) -> float:
    """First contentful paint of an address, in a page of its own."""
    page = context.new_page()
    page.goto(f"{link.partition('#')[0]}{path}")
    found = page.evaluate(PAINT)
    page.close()
    return found


def on_map(context: Any, link: str, users: int) -> dict[str, float]:
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
    found = {"drawn": drawn, "hover_and_zoom": page.evaluate(MOVE)}
    page.close()
    return found


def main() -> None:
    """All figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--users", type=int, default=100_000)
    given = parser.parse_args()
    command = ["idiolect", "studio", "--store", given.store, "--no-browser", "--port", "0"]
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
        paths = {"empty": "docs", "start": "", "person": f"?again#/person?user={user}"}
        paints = {name: [paint(context, link, path) for _ in range(given.repeats)] for name, path in paths.items()}
        selectors = {"evidence": ".toggle", "theme": ".icon", "nothing": "#main"}
        clicks = {
            name: [page.evaluate(CLICK, selector) for _ in range(2 * given.repeats)]
            for name, selector in selectors.items()
        }
        maps = {f"map_of_{n}": on_map(context, link, n) for n in (1000, given.users)}
        browser.close()
        process.terminate()
    median = {name: statistics.median(times) for name, times in paints.items()}
    found = {
        "first_paint_ms": median,
        "first_paint_ratio": {name: median[name] / median["empty"] for name in ("start", "person")},
        "interaction_ms": {name: statistics.median(times) for name, times in clicks.items()},
        **maps,
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
