"""Many visitors and hostile requests against a real dashboard on the loopback address.

    python benchmarks/dashboard_load.py --users 50 --seconds 120 --hostile 1000

Starts ``auralise dashboard`` with an empty cache. Every simulated user has a session of their own,
opens a page, asks for units (mostly the strongest ones, as people do), fetches a stretch of the
sound, and listens for some seconds before the next. Then the hostile requests: traversal,
oversize, malformed, and mutilated requests to the callbacks of all pages, from several visitors at
once. Either part can be left out with a 0. Exit status 1 if anything but the expected happened.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from auralise.dashboards import ids

LAYERS = ("conv2", "conv3", "conv4")
UNITS = 64
THINK = (3.0, 7.0)
ATTACKERS = 8
CANARY = "canary-outside-the-cache"


@dataclass
class Log:
    """What was seen: kind of request, seconds, status."""

    rows: list[tuple[str, float, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def add(self, kind: str, seconds: float, status: int, text: str = "") -> None:
        """Note one request; appending is safe with several threads."""
        self.rows.append((kind, seconds, status))
        if status >= 400:
            self.texts.append(f"{kind} {status} {text[:100]}")


class Browser:
    """One visitor: one connection, one session."""

    def __init__(self, port: int, log: Log) -> None:
        self.port, self.log, self.cookie = port, log, ""

    def ask(
        self,
        kind: str,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send one request and read the answer to its end."""
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            given = {"Cookie": self.cookie, **(headers or {})}
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read
                connection.request(method, path, body, given)
            answer = connection.getresponse()
            content = answer.read()
            cookie = answer.headers.get("Set-Cookie")
        except (OSError, http.client.HTTPException) as error:
            self.log.add(kind, time.perf_counter() - begin, 599, repr(error))
            return 599, b""
        finally:
            connection.close()
        if cookie:
            self.cookie = cookie.partition(";")[0]
        text = content[:200].decode(errors="replace") if answer.status >= 400 else ""
        if CANARY.encode() in content or b"root:x:" in content:
            self.log.leaks.append(path)
        self.log.add(kind, time.perf_counter() - begin, answer.status, text)
        return answer.status, content

    def call(self, kind: str, body: object) -> tuple[int, bytes]:
        """Ask a callback."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self.ask(kind, "POST", "/_dash-update-component", data, headers)


class Page:
    """What the Listen page sends for an address: the requests of its callbacks."""

    def __init__(self, browser: Browser) -> None:
        _, content = browser.ask("page", "GET", "/_dash-dependencies")
        self.entries = json.loads(content)

    def request(self, output: str, given: dict[str, object]) -> dict[str, object]:
        """Return the request of the callback with an output; inputs and state by component."""
        for entry in self.entries:
            if f"{output}." in entry["output"] and not entry["clientside_function"]:
                return asked(entry, given)
        raise SystemExit(f"the Listen page has no callback to {output}")

    def requests(self) -> list[dict[str, object]]:
        """Return a request of every callback of all pages, about the embedded song."""
        given: dict[str, object] = {ids.URL: "?layer=conv3&unit=3"}
        return [asked(entry, given) for entry in self.entries if not entry["clientside_function"]]


def asked(entry: dict[str, Any], given: dict[str, object]) -> dict[str, object]:
    """Return what a page sends for a callback."""
    names = [part.rpartition(".") for part in entry["output"].strip(".").split("...")]
    outputs = [{"id": name, "property": prop} for name, _, prop in names]
    several = entry["output"].startswith("..")
    inputs, state = (
        [{**part, "value": given.get(part["id"])} for part in entry[kind]]
        for kind in ("inputs", "state")
    )
    first = entry["inputs"][0]
    return {
        "output": entry["output"],
        "outputs": outputs if several else outputs[0],
        "inputs": inputs,
        "changedPropIds": [f"{first['id']}.{first['property']}"],
        "state": state,
    }


def visit(port: int, log: Log, seed: int, until: float) -> None:
    """Be one visitor until a time: what a page asks for when a unit is clicked, as it asks."""
    rng, browser = random.Random(seed), Browser(port, log)
    time.sleep(rng.uniform(0, THINK[1]))
    browser.ask("page", "GET", "/listen")
    page = Page(browser)
    favourites = random.Random(0).sample(range(UNITS), 12)
    while time.monotonic() < until:
        unit = rng.choice(favourites) if rng.random() < 0.8 else rng.randrange(UNITS)
        search = f"?layer={rng.choice(LAYERS)}&unit={unit}"
        browser.ask("heard", "POST", f"/heard{search}", b"")
        browser.call("choices", page.request(ids.PROBLEM, {ids.URL: search}))
        browser.call("grid", page.request(ids.GRID_CAPTION, {ids.URL: search}))
        _, content = browser.call("unit", page.request(ids.SOUNDS, {ids.URL: search}))
        sounds = json.loads(content)["response"][ids.SOUNDS]["data"] if content else {"sounds": []}
        for sound in sounds["sounds"]:
            browser.ask("sound", "GET", sound["url"], headers={"Range": "bytes=0-65535"})
        given = {ids.SOUNDS: sounds, ids.LOOK: "light", ids.URL: search}
        _, content = browser.call("draw", page.request(ids.FIGURE_URL, given))
        if content:
            browser.ask("figure", "GET", json.loads(content)["response"][ids.FIGURE_URL]["data"])
        time.sleep(rng.uniform(*THINK))


PATHS = [
    "/media/../../../../etc/passwd",
    "/media/..%2f..%2fsecret",
    "/media/%2e%2e/%2e%2e/canary.txt",
    "/assets/../../canary.txt",
    "/assets/..%5c..%5ccanary.txt",
    "/_dash-component-suites/dash/../../../canary.txt",
    "/_dash-component-suites/os/path.py",
    "/media/" + "a" * 6000,
    "/media/%00.wav",
    "/%ff%fe",
]

SEARCHES = [
    "?model=../../etc", "?layer=%00", "?unit=-1", "?unit=1e9", "?start=nan", "?start=1e308",
    "?seconds=1e9", "?at=nan,nan", "?song=../secret", "?method=__import__", "?" + "a=1&" * 200,
    "x" * 100_000,
]  # fmt: skip


def attack(port: int, log: Log, number: int, seed: int) -> None:
    """Send hostile requests, one after the other, from one visitor."""
    rng, browser = random.Random(seed), Browser(port, log)
    browser.ask("hostile", "GET", "/listen")
    page = Page(browser)
    good, every = page.request(ids.SOUNDS, {ids.URL: "?unit=3"}), page.requests()
    odd = [None, -1, 1e308, "", "x", [], {}, [[]], {"id": {}}, "../../etc/passwd", "\x00", "nan"]

    def mutilate(value: object) -> object:
        if isinstance(value, dict) and value and rng.random() < 0.85:
            key = rng.choice(list(value))
            return {**value, key: mutilate(value[key])}
        if isinstance(value, list) and value and rng.random() < 0.85:
            place = rng.randrange(len(value))
            return [mutilate(v) if i == place else v for i, v in enumerate(value)]
        return rng.choice(odd)

    for turn in range(number):
        if turn % 4 == 0:
            browser.ask("hostile", "GET", rng.choice(PATHS))
        elif turn % 4 == 1:
            browser.call("hostile", mutilate(rng.choice(every)))
        elif turn % 4 == 2:
            ask_nonsense(browser, good, rng)
        else:
            send_rubbish(browser, rng)
        time.sleep(0.03)


def ask_nonsense(browser: Browser, good: dict[str, object], rng: random.Random) -> None:
    """Send an address that makes no sense to one of the two that read addresses."""
    search = rng.choice(SEARCHES)
    if rng.random() < 0.3:
        browser.ask("hostile", "POST", f"/heard?{quote(search[:20_000], safe='?&=%.')}", b"")
        return
    bad = json.loads(json.dumps(good))
    bad["inputs"][0]["value"] = search
    browser.call("hostile", bad)


def send_rubbish(browser: Browser, rng: random.Random) -> None:
    """Send bytes that are neither a request nor a song."""
    data = rng.choice([b"", b"{", b"[" * 50_000, os.urandom(200), b"a" * 2_000_000])
    headers = {"Content-Type": "application/json", "X-File-Name": "..%2f..%2fx.wav"}
    path = rng.choice(["/_dash-update-component", "/upload", "/heard", "/media/x", "/health"])
    browser.ask("hostile", "POST", path, data, headers)


def memory(pid: int) -> float:
    """Return a process's memory in MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(match[1]) / 1024 if match else 0.0


def report(log: Log) -> bool:
    """Print latencies by kind of request; say whether any failed."""
    for kind in sorted({row[0] for row in log.rows}):
        seconds = np.array([row[1] for row in log.rows if row[0] == kind])
        median, high = np.percentile(seconds, [50, 95])
        print(f"{kind:8} {len(seconds):6} requests  median {median:.3f} s  p95 {high:.3f} s")
    both = np.array([row[1] for row in log.rows])
    failed = [row for row in log.rows if row[2] >= 400]
    print(f"all: p95 {np.percentile(both, 95):.3f} s, slowest {both.max():.2f} s")
    print(f"failed: {len(failed)}", *sorted(set(log.texts))[:5], sep="\n  ")
    return not failed


def main() -> None:
    """Run both parts against one server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--hostile", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        (Path(aside) / "canary.txt").write_text(CANARY, encoding="ascii")
        server = subprocess.Popen(
            [sys.executable, "-m", "auralise", "dashboard", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": aside, "OMP_NUM_THREADS": "1"},
            cwd=aside,
        )
        try:
            line = server.stdout.readline() if server.stdout else ""
            port = urlsplit(line.split()[-1]).port or 0
            good = not given.users or crowd(server.pid, port, given.users, given.seconds)
            good = (not given.hostile or siege(server.pid, port, given.hostile)) and good
        finally:
            server.send_signal(signal.SIGTERM)
            print("server ended with", server.wait(timeout=60))
    sys.exit(0 if good else 1)


def crowd(pid: int, port: int, users: int, seconds: float) -> bool:
    """Let many visitors in at the same time."""
    time.sleep(5)  # the server warms up, as it does before a first visitor has found its address
    log, until = Log(), time.monotonic() + seconds
    threads = [threading.Thread(target=visit, args=(port, log, n, until)) for n in range(users)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(max(1.0, seconds / 12))
        seen.append(memory(pid))
    print(f"{users} users for {seconds:.0f} s")
    print("memory in MB:", " ".join(f"{value:.0f}" for value in seen))
    return report(log)


def siege(pid: int, port: int, number: int) -> bool:
    """Send hostile requests and look at what came back."""
    log, begin = Log(), time.monotonic()
    share = -(-number // ATTACKERS)
    threads = [
        threading.Thread(target=attack, args=(port, log, share, seed)) for seed in range(ATTACKERS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(10)
        print(
            f"  after {time.monotonic() - begin:.0f} s: {len(log.rows)} answers, "
            f"{memory(pid):.0f} MB",
            flush=True,
        )
    codes: dict[int, int] = {}
    for _, _, status in log.rows:
        codes[status] = codes.get(status, 0) + 1
    alive, _ = Browser(port, Log()).ask("health", "GET", "/health")
    print(
        f"{share * ATTACKERS} hostile requests from {ATTACKERS} visitors in "
        f"{time.monotonic() - begin:.0f} s: statuses {dict(sorted(codes.items()))}; "
        f"alive: {alive == 200}"
    )
    print(f"memory afterwards {memory(pid):.0f} MB; read outside the cache: {len(log.leaks)}")
    print("refused:", *sorted({text[:110].strip() for text in log.texts})[:40], sep="\n  ")
    broken = any(status >= 500 for _, _, status in log.rows)
    return alive == 200 and not log.leaks and not broken


if __name__ == "__main__":
    main()
