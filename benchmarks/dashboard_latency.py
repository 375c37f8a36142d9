"""How long a visitor waits, by the browser's own clock.

    python benchmarks/dashboard_latency.py --repeats 20

Starts ``auralise dashboard`` with an empty cache and opens it in Chromium. Medians, with the
fastest and the slowest:

- from the address to a page that can be used: all units are shown and the sounds are ready to play,
  for the very first visitor, and for later ones with a browser that knows nothing yet;
- from a click on a unit to its sound (the playhead of the new sound moves; it starts .15 s before
  what the unit sees), the first time and again, a second after the one before;
- from a change of the excerpt to a grid of 64 units.

Excerpts are 4 s, of the embedded song and network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--mute-audio",
)  # fmt: skip
MOMENT = 1000.0  # milliseconds between hearing a unit and clicking the next
GRID = "document.querySelectorAll('#grid a[data-unit]').length === 64"

# Waits for a condition frame by frame and gives the time at which it was met.
WAIT = """
(condition, begin) => new Promise((resolve, reject) => {
  const look = () => {
    let met = false;
    try { met = eval(condition); } catch { met = false; }
    if (met) resolve(performance.now() - begin);
    else if (performance.now() - begin > 60000) reject(new Error('not within 60 s: ' + condition));
    else requestAnimationFrame(look);
  };
  look();
})
"""


def open_page(browser: Browser, address: str) -> tuple[Page, float]:
    """Open the first page in a new context; give it and the milliseconds until it can be used."""
    page = browser.new_context(bypass_csp=True).new_page()
    page.goto(address, wait_until="commit")
    taken = page.evaluate(
        f"() => ({WAIT})('{GRID.replace(chr(39), chr(34))} && auralise.ready()', 0)"
    )
    return page, float(taken)


def click(page: Page, unit: int) -> float:
    """Listen for a moment, click a unit; give the milliseconds until its sound moves."""
    page.wait_for_timeout(MOMENT)
    return float(
        page.evaluate(
            f"""async (unit) => {{
              const wait = {WAIT};
              const before = auralise.url();
              const begin = performance.now();
              document.querySelector(`#grid a[data-unit="${{unit}}"]`).click();
              window.__before = before; window.__from = null;
              return wait(`(() => {{
                const sound = auralise.heard();
                if (auralise.url() === window.__before) return false;
                if (!sound.currentSrc.endsWith(auralise.url())) return false;
                if (sound.readyState < 3 || sound.paused || sound.muted) return false;
                if (sound.seeking) return false;
                if (window.__from === null) {{ window.__from = sound.currentTime; return false; }}
                return sound.currentTime > window.__from; }})()`, begin);
            }}""",
            unit,
        )
    )


def regrid(page: Page, start: float) -> float:
    """Move the excerpt; give the milliseconds until the new grid is there."""
    return float(
        page.evaluate(
            f"""async (start) => {{
              const wait = {WAIT};
              window.__old = document.querySelector('#grid a[data-unit]');
              const begin = performance.now();
              window.dash_clientside.set_props('url', {{ search: `?start=${{start}}` }});
              return wait(`!window.__old.isConnected && {GRID}`, begin);
            }}""",
            start,
        )
    )


def told(name: str, milliseconds: list[float], goal: float) -> None:
    """Print a line of the table."""
    low, middle, high = min(milliseconds), statistics.median(milliseconds), max(milliseconds)
    print(
        f"{name:44} {len(milliseconds):3}  median {middle / 1000:.3f} s  "
        f"({low / 1000:.3f} to {high / 1000:.3f}), goal {goal:g} s"
    )


def measure(browser: Browser, address: str, repeats: int) -> None:
    """Measure everything against one server."""
    page, first = open_page(browser, address)
    told("address to usable page, the very first", [first], 2.0)
    later = []
    for _ in range(repeats):
        page.context.close()
        page, taken = open_page(browser, address)
        later.append(taken)
    told("address to usable page, new browsers", later, 2.0)
    page.click("#transport-play")  # browsers let pages play sound once somebody has clicked
    units = range(1, 1 + repeats)
    told("click to sound, uncached", [click(page, unit) for unit in units], 1.0)
    told("click to sound, cached", [click(page, unit) for unit in units], 0.2)
    starts = [0.2 + 0.25 * number for number in range(repeats)]
    told("new excerpt to a grid of 64 units", [regrid(page, start) for start in starts], 2.0)


def main() -> None:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        begin = time.monotonic()
        server = subprocess.Popen(
            [sys.executable, "-m", "auralise", "dashboard", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": aside, "OMP_NUM_THREADS": "1"},
        )
        try:
            line = server.stdout.readline() if server.stdout else ""
            print(f"server up after {time.monotonic() - begin:.1f} s")
            measure(browser, line.split()[-1], given.repeats)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
            browser.close()


if __name__ == "__main__":
    main()
