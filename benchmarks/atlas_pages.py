"""How long a unit's page takes to its first sound, and how fluently 100,000 points are moved.

    python benchmarks/atlas_pages.py ATLAS

Starts ``auralise dashboard --atlas ATLAS`` with an empty cache and opens it in Chromium, without a
graphics card. By the browser's own clock:

- from the address of a unit to the moment when its strongest clip's sound has moved on, with a
  browser that has never been there and in one that has;
- from a click on a link to another unit, two seconds after the one before, to the same moment;
- how many pictures of 100,000 points the browser shows in a second while they are dragged, all of
  them in sight, and what drawing one costs. The drag is a pointer moved once for each picture.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
POINTS = 100_000
MOMENT = 2000.0  # milliseconds between hearing a unit and following a link to the next

# Plays the first example as soon as it is there; gives the time when its playhead has moved.
HEARD = """(begin) => new Promise((resolve, reject) => {
  const title = window.__before;
  const look = () => {
    const sound = document.querySelector('#unit-top audio');
    const heading = document.querySelector('#unit-heading h1')?.textContent;
    if (sound && heading && heading !== title) {
      if (sound.paused && sound.readyState >= 2) sound.play();
      if (sound.currentTime > 0) return resolve([performance.now() - begin, heading]);
    }
    if (performance.now() - begin > 60000) return reject(new Error('not heard within 60 s'));
    requestAnimationFrame(look);
  };
  look();
})"""

MANY = """(n) => {
  const labels = ["a", "b", "c", "d", "e"];
  const points = { of: "units", x: [], y: [], id: [], text: [], label: [], layer: [] };
  for (let i = 0; i < n; i += 1) {
    const turn = i * 2.399963, reach = Math.sqrt(i / n);
    points.x.push(reach * Math.cos(turn)); points.y.push(reach * Math.sin(turn));
    points.id.push(`conv2:${i}`); points.text.push(`conv2:${i}`);
    points.label.push(labels[i % 5]); points.layer.push("conv2");
  }
  auralise_map_view.load(points, "label");
}"""

DRAG = """(seconds) => new Promise((resolve) => {
  const canvas = document.getElementById('map-canvas');
  const box = canvas.getBoundingClientRect();
  const at = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, clientX: box.left + box.width / 2 + x, clientY: box.top + box.height / 2 + y,
    bubbles: true,
  }));
  canvas.setPointerCapture = () => {};  // there is no such pointer
  at('pointerdown', 0, 0);
  const begin = performance.now(), before = auralise_map_view.frames();
  let step = 0;
  const move = () => {
    const taken = performance.now() - begin;
    if (taken > 1000 * seconds) {
      at('pointerup', 0, 0);
      return resolve([1000 * (auralise_map_view.frames() - before) / taken,
                      auralise_map_view.cost(), canvas.width, canvas.height]);
    }
    step += 1;
    at('pointermove', 60 * Math.sin(step / 9), 40 * Math.cos(step / 7));
    requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
})"""


def told(name: str, milliseconds: list[float]) -> None:
    """Print a line of the table."""
    low, middle, high = min(milliseconds), statistics.median(milliseconds), max(milliseconds)
    print(
        f"{name:52} {len(milliseconds):2}  median {middle / 1000:.2f} s  "
        f"({low / 1000:.2f} to {high / 1000:.2f})",
        flush=True,
    )


def new_page(browser: Browser) -> Page:
    """Open a page of a browser that has never been there."""
    return browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900}).new_page()


def opened(page: Page, address: str) -> float:
    """Go to a unit's address; give the milliseconds until it is heard."""
    page.goto(address, wait_until="commit")
    return float(page.evaluate(f"() => ({HEARD})(0)")[0])


def followed(page: Page, again: bool) -> float:
    """Follow the link to the unit after this one, or before it; give the same."""
    link = "before" if again else "next"
    page.wait_for_timeout(MOMENT)
    taken = page.evaluate(
        f"""() => {{
          window.__before = document.querySelector('#unit-heading h1').textContent;
          const begin = performance.now();
          [...document.querySelectorAll('a.to-unit')]
            .find((a) => a.textContent.includes('{link}')).click();
          return ({HEARD})(begin);
        }}"""
    )
    return float(taken[0])


def measure(browser: Browser, address: str, layer: str, repeats: int, out: Path | None) -> None:
    """Measure everything against one server."""
    first, known, links, back = [], [], [], []
    for number in range(repeats):
        page = new_page(browser)
        first.append(opened(page, f"{address}/unit?layer={layer}&unit={2 * number}"))
        known.append(opened(page, f"{address}/unit?layer={layer}&unit={2 * number + 1}"))
        page.context.close()
    page = new_page(browser)
    opened(page, f"{address}/unit?layer={layer}&unit={2 * repeats}")
    links = [followed(page, again=False) for _ in range(repeats)]
    back = [followed(page, again=True) for _ in range(repeats)]
    told("address of a unit to its sound, new browser", first)
    told("the same, in a browser that knows the pages", known)
    told("link to a unit to its sound, never cut before", links)
    told("the same, cut before", back)
    if out:
        page.screenshot(path=out / "unit.png")
    page.goto(f"{address}/map")
    page.wait_for_function("window.auralise_map_view && auralise_map_view.points() > 60")
    page.wait_for_function("auralise_map_view.frames() > 0")
    if out:
        page.wait_for_timeout(300)
        page.screenshot(path=out / "map.png")
    page.evaluate(MANY, POINTS)
    rate, cost, width, height = page.evaluate(DRAG, 5)
    print(
        f"{POINTS} points on {width} x {height} pixels: {rate:.1f} pictures a second, "
        f"{cost:.1f} ms to draw one"
    )


def main() -> None:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("atlas")
    parser.add_argument("--layer", default="conv2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder for pictures of both pages")
    given = parser.parse_args()
    command = [sys.executable, "-m", "auralise", "dashboard", "--port", "0"]
    with tempfile.TemporaryDirectory() as aside, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        server = subprocess.Popen(
            [*command, "--atlas", given.atlas],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": aside, "OMP_NUM_THREADS": "1"},
        )
        try:
            line = server.stdout.readline() if server.stdout else ""
            address = line.split()[1].rstrip("/")
            measure(browser, address, given.layer, given.repeats, given.pictures)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
