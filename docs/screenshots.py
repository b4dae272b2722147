"""Make the pictures of docs/studio.md from the demo's world.

    idiolect demo --out demo && python docs/screenshots.py demo [NAME ...]

Names choose pictures (person, voices, map, units, evaluation, phone, film); without any, all are made.

It copies the demo's store, opens it with ``idiolect studio``, and drives Chromium. The pictures go next to this file.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
USER = "s20-u00006"
"""Of the demo's world; the README shows the same one."""
WRITTEN = """characters => {
    const texts = [...document.querySelectorAll(".voice:not(.own) .text")];
    const length = texts.reduce((sum, one) => sum + (one.querySelector("bdi")?.textContent.length ?? 0), 0);
    return length >= characters || texts.every((one) => one.getAttribute("aria-busy") === "false");
}"""
"""Whether so much is written, or all."""
FINISHED = ".voices:not(:has([aria-busy=true])) .voice:nth-child(3) .meter"
"""The likeness of the second method, once all texts are written and marked."""
MEASURED = "() => [...document.querySelectorAll('.what')].every((one) => one.textContent !== '\u2026')"
"""Whether every card of the start page says what sets its user apart."""


@contextmanager
def studio(demo: Path) -> Iterator[str]:
    """The studio on a copy of the demo's store; its link."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "people.db"
        shutil.copy(demo / "reviews.db", store)
        command = [sys.executable, "-m", "idiolect", "studio", "--store", str(store), "--no-browser", "--port", "0"]
        command += ["--results", str(demo / "results"), "--adapter", str(demo / "adapter")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            yield next(found[0] for line in process.stderr if (found := re.search(r"http\S+", line)))
            process.terminate()


def small(picture: bytes) -> Image.Image:
    """With 256 colours, spread evenly so that rare ones are kept."""
    return (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    )


def main(demo: Path, chosen: Sequence[str] = ()) -> None:
    """The chosen pictures; all, if none is chosen."""
    with studio(demo) as link, sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        base = link.partition("#")[0]

        def opened(address: str, until: str, *, width: int = 1280, height: int = 800, scheme: str = "light") -> Any:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.set_default_timeout(240_000)
            page.goto(link)
            page.wait_for_selector("h1")
            page.goto(f"{base}#/{address}")
            page.wait_for_selector(until)
            page.wait_for_timeout(500)
            return page

        def shoot(name: str, page: Any, prepare: Callable[[Any], object] | None = None) -> None:
            if prepare is not None:
                prepare(page)
                page.wait_for_timeout(700)
            small(page.screenshot()).save(HERE / f"studio-{name}.png", optimize=True)
            page.close()

        def scroll(selector: str) -> Callable[[Any], object]:
            return lambda page: page.evaluate(
                "selector => window.scrollTo(0, document.querySelector(selector).getBoundingClientRect().top"
                " + scrollY - 75)",
                selector,
            )

        person = f"person?user={USER}"
        texts = f"{person}&item=s20-i00102&rating=5&title=Plangent!&methods=rag,dep"
        pictures: dict[str, Callable[[str], object]] = {
            "person": lambda name: shoot(name, opened(person, ".reviewlist", height=860)),
            "voices": lambda name: shoot(name, opened(texts, FINISHED, height=860, scheme="dark"), scroll("#write")),
            "map": lambda name: shoot(name, opened(f"map?colour=exclamations&user={USER}", ".near", height=860)),
            "units": lambda name: shoot(name, opened("units", ".units tbody tr", height=700, scheme="dark")),
            "evaluation": lambda name: shoot(name, opened("evaluations?run=results", ".samples table", height=860)),
            "phone": lambda name: shoot(name, opened(person, ".claims", width=390, height=800)),
            "film": lambda _: film(opened("", ".people", width=1180, height=720)),
        }
        for name in chosen or pictures:
            pictures[name](name)
        browser.close()


def film(page: Any) -> None:
    """From the search to a text that changes when a difference is muted, as an animation."""
    frames: list[tuple[Image.Image, int]] = []

    def keep(ms: int) -> None:
        frames.append((small(page.screenshot()), ms))

    page.wait_for_function(MEASURED)
    keep(900)
    page.get_by_role("combobox", name="Find a user").fill(USER)
    page.get_by_role("option").first.wait_for()
    keep(1000)
    page.keyboard.press("Enter")
    page.wait_for_selector(".reviewlist")
    keep(2200)
    page.get_by_role("button", name="Evidence").first.click()
    page.wait_for_selector(".items summary")
    page.locator(".items summary").nth(3).click()
    page.wait_for_selector(".compare mark")
    page.locator(".compare").first.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    keep(2500)
    page.get_by_role("checkbox", name="DEP").uncheck()
    page.get_by_role("checkbox", name="DRP").check()
    page.locator("#write").evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 70)")
    page.wait_for_timeout(300)
    keep(900)
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".voice").nth(2).wait_for()
    page.locator(".voices").evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 70)")
    for characters in range(50, 500, 75):
        page.wait_for_function(WRITTEN, arg=characters)
        keep(350)
    page.locator(".voice").nth(1).locator(".meter").wait_for()
    page.locator(".voice").nth(2).locator(".meter").wait_for()
    page.locator(".voice").first.evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 70)")
    page.wait_for_timeout(500)
    keep(3000)
    page.get_by_role("button", name="Mute: puts headings over parts").click()
    page.locator(".claim.muted").wait_for()
    page.locator(".claim.muted").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    keep(1800)
    page.locator(".voice").nth(2).locator(".again").wait_for()
    page.locator(".voice").nth(2).locator(".meter").wait_for()
    page.locator(".voice").nth(2).evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 70)")
    page.wait_for_timeout(500)
    keep(3500)
    first, *rest = [frame for frame, _ in frames]
    times = [ms for _, ms in frames]
    first.save(HERE / "studio.gif", save_all=True, append_images=rest, duration=times, loop=0, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
