"use strict";

/* What pages do in the browser: addresses, keys, the playhead over figures, dropped-in songs. */

(() => {
  const players = window.auralise;
  const byId = (id) => document.getElementById(id);
  const query = () => new URLSearchParams(window.location.search);

  /* The address is the only state: everything chosen is written there and read from there. */

  function changed(changes) {
    const parts = query();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "" || value === undefined) parts.delete(name);
      else parts.set(name, String(value));
    }
    return [...parts].length ? `?${parts}` : "";
  }

  function go(changes, pathname) {
    const search = changed({ ...(coming || {}), ...changes });
    coming = null;
    const path = pathname || window.location.pathname;
    if (search === window.location.search && path === window.location.pathname) return;
    // a path that is given again builds the whole page anew
    const leaves = path !== window.location.pathname;
    window.dash_clientside.set_props("url", leaves ? { pathname: path, search } : { search });
  }

  /* A unit of the page Listen sounds first; then it is written into the address and said in words:
     to show what the callbacks answer keeps the browser busy for longer than the sound takes. */

  let coming = null; // changes that are not in the address yet

  async function sound(changes) {
    const mine = coming = changes;
    try {
      const answer = await fetch(`/heard${changed(changes)}`, { method: "POST" });
      const data = answer.ok ? await answer.json() : null;
      if (data && coming === mine) { fill(data); await sounding(); }
    } finally { // where it failed, the page's own callbacks find the same and say it
      if (coming === mine) go(changes);
    }
  }

  /* Wait until a sound can be heard; not for long, browsers may forbid it. */
  async function sounding() {
    const end = performance.now() + 400;
    const silent = () => { const sound = players.heard(); return !sound || sound.paused || sound.readyState < 3 || sound.currentTime <= from; };
    const from = players.time();
    while (silent() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 15));
  }

  function fill(data) {
    shown = data;
    if (data.unit !== null) mark(data.unit);
    players.load(byId("players"), data.sounds, data.from || 0);
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = event.target.closest("a[data-page], a[data-unit], a[data-go]");
    if (!link) return;
    event.preventDefault();
    if (link.dataset.page) return leave(link.dataset.page, JSON.parse(link.dataset.go || "{}"));
    if (link.dataset.unit !== undefined) return unit(link);
    go(JSON.parse(link.dataset.go));
  });

  function leave(page, wanted) {
    const kept = ["model", "song", "start", "layer", "unit"];
    const changes = {};
    for (const name of query().keys()) if (!kept.includes(name)) changes[name] = null;
    if ("layer" in wanted) changes.unit = null;
    go({ ...changes, ...wanted }, page);
  }

  function unit(link) {
    players.expect();
    mark(link.dataset.unit);
    const changes = link.dataset.go ? JSON.parse(link.dataset.go) : { unit: link.dataset.unit, at: null };
    const wanted = Object.entries(changes).filter(([, value]) => value !== null);
    if (wanted.every(([name, value]) => query().get(name) === String(value)) && players.ready()) {
      players.play();
      return;
    }
    if (link.dataset.go || !link.closest("#grid") || !byId("players")) go(changes);
    else sound(changes).catch(() => {});
  }

  const cells = () => [...document.querySelectorAll(".grid a[data-unit]")];

  function mark(channel) {
    for (const cell of cells()) {
      if (cell.dataset.unit === String(channel)) {
        cell.setAttribute("aria-current", "true");
        const grid = cell.closest(".grid");
        const below = cell.offsetTop - grid.offsetTop;
        if (below < grid.scrollTop || below + cell.offsetHeight > grid.scrollTop + grid.clientHeight) {
          grid.scrollTop = below - grid.clientHeight / 2;
        }
      }
      else cell.removeAttribute("aria-current");
    }
  }

  /* Keys. */

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(players.typing)) return;
    if (event.key.startsWith("Arrow") && cells().length) step(event);
  });

  function step(event) {
    const now = cells().find((cell) => cell.getAttribute("aria-current") === "true") || cells()[0];
    const all = [...now.closest(".grid").querySelectorAll("a[data-unit]")];
    const at = all.indexOf(now);
    const top = all[0].offsetTop;
    const columns = all.filter((cell) => cell.offsetTop === top).length;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const next = all[at + moves[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    unit(next);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("#upload-button")) pick();
  });

  /* A song of one's own: chosen or dropped anywhere. */

  function pick() {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = "audio/*,.wav,.flac,.ogg,.opus,.mp3";
    input.addEventListener("change", () => { if (input.files.length) send(input.files[0]); });
    input.click();
  }

  let hovering = 0;
  const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (files(event)) { hovering += 1; document.body.classList.add("dropping"); }
  });
  document.addEventListener("dragleave", (event) => {
    if (files(event) && --hovering <= 0) { hovering = 0; document.body.classList.remove("dropping"); }
  });
  document.addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    hovering = 0;
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });

  function say(text, kind) {
    const line = byId("upload");
    if (line) { line.textContent = text; line.dataset.kind = kind; }
  }

  function send(file) {
    const request = new XMLHttpRequest();
    request.open("POST", "/upload");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) say(`Sending ${Math.round((100 * event.loaded) / event.total)} %`, "busy");
    });
    request.addEventListener("error", () => say("The file did not reach the server; is it still running?", "bad"));
    request.addEventListener("load", () => {
      const answer = request.response || {};
      if (request.status >= 300 || !answer.song) {
        say(answer.error || `The server refused the file (${request.status}).`, "bad");
        return;
      }
      say(`${answer.title} is ready.`, "good");
      go({ song: answer.song, start: null, unit: null, at: null });
    });
    say("Sending…", "busy");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.send(file);
  }

  /* Light and dark, wide and narrow: figures follow what is shown. */

  let look = null;

  function follow() {
    const scheme = document.documentElement.dataset.mantineColorScheme === "dark" ? "dark" : "light";
    const shown = window.innerWidth < 640 ? `${scheme}-narrow` : scheme;
    if (shown === look) return;
    look = shown;
    window.dash_clientside.set_props("look", { data: shown });
    players.recolour();
  }

  new MutationObserver(follow).observe(document.documentElement, {
    attributes: true, attributeFilter: ["data-mantine-color-scheme"],
  });
  window.addEventListener("resize", () => { if (look) follow(); });

  const started = setInterval(() => {
    if (!byId("page") || !window.dash_clientside.set_props) return;
    clearInterval(started);
    follow();
  }, 20);

  /* What callbacks call. */

  /* Wait until the players are ready, and play if they shall; at most two seconds. */
  async function heard() {
    const end = performance.now() + 2000;
    const busy = () => document.querySelector('.players[data-state="loading"], #players[data-state="empty"]');
    do await new Promise((resolve) => setTimeout(resolve, 30)); while (busy() && performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }

  /* A figure and its height, once the sounds are there: drawing keeps the browser busy. */
  async function drawing(url) {
    if (!url) return null;
    const loading = fetch(url);
    await heard();
    const answer = await loading;
    if (!answer.ok) return null;
    const figure = await answer.json();
    return { figure, style: { height: `${figure.layout.height}px` } };
  }

  let turns = 0;
  let last = {};
  let shown = null;

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    auralise: {
      sounds(data) {
        shown = data;
        if (!data || !data.sounds || !data.sounds.length || !byId("players")) players.clear();
        else if (!coming) fill(data); // else it is the answer to what was chosen before
        return "";
      },
      /* A blind test has the players for itself; its waveforms would give X away. */
      blind(state) {
        const testing = Boolean(state && state.sounds && state.sounds.length);
        const before = document.body.classList.contains("testing");
        document.body.classList.toggle("testing", testing);
        if (testing) players.load(byId("blind-players"), state.sounds);
        else if (before && shown) players.load(byId("players"), shown.sounds, shown.from || 0);
        return "";
      },
      choose(...given) {
        const view = given.pop();
        const names = (view && view.names) || [];
        const changes = {};
        names.forEach((name, i) => {
          const value = given[i];
          if (value === null || value === undefined || String(value) === String(view[name] ?? "")) return;
          changes[name] = value;
        });
        if (!view || !Object.keys(changes).length) return window.dash_clientside.no_update;
        if ("other" in changes) Object.assign(changes, { other_layer: null, other_unit: null });
        if ("other_layer" in changes) changes.other_unit = null;
        if ("model" in changes) Object.assign(changes, { layer: null, unit: null, at: null, phase: null, sonification: null });
        if ("song" in changes) Object.assign(changes, { start: null, unit: null, at: null });
        if ("layer" in changes) Object.assign(changes, { unit: null, at: null });
        if ("start" in changes) changes.at = null;
        go(changes);
        return window.dash_clientside.no_update;
      },
      picked(click, sounds) {
        const point = click && click.points && click.points[0];
        if (!point || !sounds) return null;
        if (!(sounds.maps || []).includes(point.curveNumber)) {
          players.seek(Number(point.x));
          return null;
        }
        const hertz = parseFloat(point.y);
        const at = Number(point.x).toFixed(3);
        go({ at: sounds.hertz && Number.isFinite(hertz) ? `${at},${hertz.toFixed(1)}` : at });
        return null;
      },
      play_tuning(clicks, stimulus) {
        if (!clicks) return window.dash_clientside.no_update;
        const again = query().get("tuning") === stimulus; // it was cancelled, or the server restarted
        if (again) go({ tuning: null });
        setTimeout(() => go({ tuning: stimulus }), again ? 200 : 0);
        return window.dash_clientside.no_update;
      },
      point(clicks) {
        const [changed] = window.dash_clientside.callback_context.triggered;
        const click = changed && changed.value;
        const text = click && click.points && String(click.points[0].text || "");
        const found = text && text.match(/:(\d+): /);
        if (found) {
          players.expect();
          go({ filter: found[1], side: JSON.parse(changed.prop_id.replace(/\.clickData$/, "")).side });
        }
        return "";
      },
      async figure(url) {
        const drawn = await drawing(url);
        return drawn ? [drawn.figure, drawn.style] : [window.dash_clientside.no_update, window.dash_clientside.no_update];
      },
      /* The library that draws is large: it is fetched with the first figure, after the sounds. */
      async late_figure(url) {
        const turn = ++turns;
        const drawn = await drawing(url);
        if (!drawn || turn !== turns) return window.dash_clientside.no_update;
        if (byId("figure")) {
          window.dash_clientside.set_props("figure", drawn);
          return window.dash_clientside.no_update;
        }
        const config = { displaylogo: false, responsive: true, displayModeBar: false };
        const props = { id: "figure", config, responsive: true, ...drawn };
        return { type: "Graph", namespace: "dash_core_components", props };
      },
      fetch(url) {
        if (url && url !== last.url) {
          last = { url };
          const link = document.createElement("a");
          link.href = url;
          link.download = "";
          link.click();
        }
        return "";
      },
      title(path, shown) {
        for (const link of document.querySelectorAll("a[data-page]")) {
          const here = link.dataset.page === path || (path === "/" && link.dataset.page === "/listen");
          if (here) { link.setAttribute("aria-current", "page"); document.title = `${link.textContent} · auralise`; }
          else link.removeAttribute("aria-current");
        }
        return window.dash_clientside.no_update;
      },
    },
  });
})();
