"""Take the pictures of the dashboard that the documentation shows.

    auralise atlas build SOUNDS --out ATLAS
    python docs/dashboard_pictures.py --atlas ATLAS

Starts ``auralise dashboard`` with an empty cache, opens every page in Chromium at 1440 and 390
pixels, light and dark, and writes ``docs/images/dashboard/<page>-<width>-<scheme>.webp``. The pages
Unit and Map are there only with an atlas. ``--pages``, ``--widths`` and ``--schemes`` take
some of them only, ``--out`` names another folder.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "images" / "dashboard"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio")
ADDRESSES = {
    "listen": "/listen?layer=conv3&unit=17",
    "filters": "/filters?model=dieleman2014-raw-instruments&other=untrained",
    "layers": "/layers?layer=conv2&tuning=tone",
    "compare": "/compare?layer=conv3&unit=17",
    "audit": "/audit?model=dieleman2014-raw-instruments&layer=conv2&unit=5",
    "claims": "/claims?model=dieleman2014-raw-instruments&claim=invariance",
    "about": "/about",
}
WITH_ATLAS = {"unit": "/unit?layer=conv3&unit=17", "map": "/map"}
ASKED = {
    "audit": ("#audit-ask", "document.querySelector('#audit-answer table')"),
    "claims": ("#claims-try", "document.querySelector('#claims-detail .main-svg')"),
}
"""Pages that compute only when asked to: the button, and what is there afterwards."""
HEIGHTS = {1440: 1500, 390: 2000}
"""Of the pictures in pixels, by their width; what is below is cut off."""

SCHEMES = ("light", "dark")

QUIET = """
(() => {
  const players = document.getElementById('players');
  const graphs = [...document.querySelectorAll('.figure .dash-graph')];
  return Boolean(document.querySelector('main h1'))
    && !document.querySelector('.unit.waiting, .figure-to-come')
    && (!players || players.dataset.state === 'ready')
    && !document.querySelector('[data-dash-is-loading]')
    && graphs.every((graph) => graph.querySelector('.main-svg'));
})()
"""


def settle(page: Page, seconds: float = 60.0) -> None:
    """Wait until a page has been quiet for a second and a half."""
    end, calm = time.monotonic() + seconds, 0
    while time.monotonic() < end and calm < 6:
        calm = calm + 1 if page.evaluate(QUIET) else 0
        time.sleep(0.25)


def ask(page: Page, name: str) -> None:
    """Let a page compute what it shows only when asked to, and wait for it."""
    if name not in ASKED:
        return
    button, there = ASKED[name]
    end = time.monotonic() + 600
    if not page.evaluate(f"Boolean({there})"):
        page.click(button)
    while not page.evaluate(f"Boolean({there})"):
        if time.monotonic() > end:
            raise SystemExit(f"the page {name} did not answer within ten minutes")
        time.sleep(0.5)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--atlas", type=Path, help="for the pages Unit and Map")
    parser.add_argument("--pages", nargs="+", choices=[*ADDRESSES, *WITH_ATLAS])
    parser.add_argument("--widths", nargs="+", type=int, choices=list(HEIGHTS), default=[*HEIGHTS])
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    known = {**ADDRESSES, **(WITH_ATLAS if given.atlas else {})}
    wanted = {name: address for name, address in known.items() if name in (given.pages or known)}
    more = ["--atlas", str(given.atlas)] if given.atlas else []
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside, sync_playwright() as playwright:
        server = subprocess.Popen(
            [sys.executable, "-m", "auralise", "dashboard", "--port", "0", *more],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": aside},
        )
        line = server.stdout.readline() if server.stdout else ""
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            for width in given.widths:
                height = HEIGHTS[width]
                for scheme in given.schemes:
                    view = {"width": width, "height": 900}
                    page = browser.new_context(color_scheme=scheme, viewport=view).new_page()
                    page.set_default_timeout(120_000)
                    for name, address in wanted.items():
                        page.goto(line.split()[-1].rstrip("/") + address)
                        settle(page)
                        ask(page, name)
                        settle(page)
                        whole = page.screenshot(full_page=True)
                        picture = Image.open(io.BytesIO(whole)).convert("RGB")
                        picture = picture.crop((0, 0, width, min(height, picture.height)))
                        target = given.out / f"{name}-{width}-{scheme}.webp"
                        picture.save(target, quality=70, method=6)
                    page.context.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
            browser.close()


if __name__ == "__main__":
    main()
