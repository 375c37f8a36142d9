"use strict";

/* Players on one playhead: all sounds of a page run together and only the chosen one is heard,
   so that one can switch between them at any moment. Waveforms are drawn by wavesurfer.js. */

window.auralise = (() => {
  const rows = new Map(); // key -> {wave, regions, button, row, spec}
  let box = null;
  let chosen = null;
  let loop = null;
  let wanted = false; // play as soon as the sounds are there
  let loading = 0;
  let mirroring = false;
  let barHeight = 1;
  const SOME = 1.5; // seconds; a unit that is followed at the very end is not over at once
  let begin = 0; // where playing starts when nobody has said where
  const watchers = [];

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const current = () => rows.get(chosen);
  const media = (row) => row.wave.getMediaElement();
  const playing = () => Boolean(current()) && !media(current()).paused;
  const time = () => (current() ? media(current()).currentTime : 0);
  const duration = () => (current() ? current().wave.getDuration() || 0 : 0);

  function colours(main) {
    return {
      waveColor: css("--wave"),
      progressColor: main ? css("--accent") : css("--quiet"),
      cursorColor: css("--playhead"),
    };
  }

  function make(spec) {
    const row = document.createElement("div");
    row.className = "row";
    row.dataset.key = spec.key;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "switch";
    button.innerHTML = "<b></b><kbd></kbd><small></small>";
    button.addEventListener("click", () => { choose(spec.key); if (!playing()) play(); });
    const holder = document.createElement("div");
    holder.className = "wave";
    row.append(button, holder);
    box.append(row);
    const regions = WaveSurfer.Regions.create();
    const wave = WaveSurfer.create({
      container: holder, height: 56, cursorWidth: 2, barWidth: 2, barGap: 1, barRadius: 1,
      sampleRate: 44100, // of what is drawn; the default of 8000 loses all above 4 kHz
      normalize: false, dragToSeek: false, plugins: [regions], ...colours(false),
    });
    regions.enableDragSelection({ color: css("--region") });
    regions.on("region-created", (region) => { if (!mirroring) setLoop(region.start, region.end); });
    regions.on("region-updated", (region) => { if (!mirroring) setLoop(region.start, region.end); });
    wave.on("click", (share) => seek(share * duration()));
    media_events(wave, spec.key);
    const entry = { wave, regions, button, row, spec: { url: null } };
    rows.set(spec.key, entry);
    return entry;
  }

  function media_events(wave, key) {
    const element = wave.getMediaElement();
    element.preload = "auto";
    element.addEventListener("ended", () => {
      if (key !== chosen) return;
      if (loop) { seek(loop.start); play(); } else { pause(); seek(begin); }
    });
    for (const name of ["play", "pause", "seeked"]) element.addEventListener(name, show);
  }

  function label(entry) {
    const { spec, button } = entry;
    button.querySelector("b").textContent = spec.label;
    button.querySelector("kbd").textContent = spec.letter || "";
    button.querySelector("small").textContent = spec.note || "";
    if (spec.letter) button.setAttribute("aria-keyshortcuts", spec.letter);
    entry.row.classList.toggle("main", Boolean(spec.main));
  }

  /* Draw a waveform anew only where something about it has changed: drawing takes its time. */
  function paint(entry, main) {
    const options = { ...colours(main), barHeight };
    const now = JSON.stringify([options, entry.spec.url]);
    if (entry.painted === now) return;
    entry.painted = now;
    entry.wave.setOptions(options);
  }

  /* All waveforms are drawn on one scale, on which the highest peak fills the height. */
  function scale() {
    let highest = 0;
    for (const { wave } of rows.values()) {
      const data = wave.getDecodedData();
      if (!data) continue;
      for (const value of data.getChannelData(0)) highest = Math.max(highest, Math.abs(value));
    }
    return highest > 0 ? 1 / highest : 1;
  }

  async function load(element, specs, from = 0) {
    if (element !== box) { clear(); box = element; }
    const turn = ++loading;
    const resume = wanted || playing();
    const at = time();
    const known = specs.some((spec) => rows.has(spec.key) && rows.get(spec.key).spec.url === spec.url);
    const keys = specs.map((spec) => spec.key);
    for (const key of [...rows.keys()].filter((name) => !keys.includes(name))) remove(key);
    for (const entry of rows.values()) media(entry).pause();
    if (!keys.includes(chosen)) chosen = (specs.find((spec) => spec.main) || specs[0]).key;
    box.dataset.state = "loading";
    const ready = specs.map((spec) => {
      const entry = rows.get(spec.key) || make(spec);
      const same = entry.spec.url === spec.url;
      entry.spec = spec;
      label(entry);
      return same ? null : entry.wave.load(spec.url);
    });
    try {
      await Promise.all(ready);
    } catch (error) {
      if (turn === loading) box.dataset.state = "failed";
      return;
    }
    if (turn !== loading) return;
    box.dataset.state = "ready";
    begin = Math.max(0, Math.min(from, duration() - SOME));
    barHeight = scale();
    drawLoop();
    choose(chosen);
    if (known || loop) seek(at < duration() - 0.05 ? at : 0); else seek(begin);
    wanted = false;
    if (resume) play(); else show();
  }

  function remove(key) { rows.get(key).wave.destroy(); rows.get(key).row.remove(); rows.delete(key); }

  function clear() {
    loading += 1;
    for (const key of [...rows.keys()]) remove(key);
    box = null;
    loop = null;
    chosen = null;
    show();
  }

  function choose(key) {
    if (!rows.has(key)) return;
    const before = current();
    const at = time();
    chosen = key;
    const next = media(current());
    for (const [name, entry] of rows) {
      entry.wave.setMuted(name !== key);
      entry.button.setAttribute("aria-pressed", String(name === key));
      entry.row.classList.toggle("chosen", name === key);
      paint(entry, name === key);
    }
    if (before && before !== current() && Math.abs(next.currentTime - at) > 0.02) {
      next.currentTime = at;
    }
    show();
  }

  function play() {
    if (!current()) { wanted = true; return; }
    const at = time();
    for (const entry of rows.values()) {
      const element = media(entry);
      if (Math.abs(element.currentTime - at) > 0.02) element.currentTime = at;
      element.play().catch(() => show());
    }
    requestAnimationFrame(follow);
  }

  function pause() { for (const entry of rows.values()) media(entry).pause(); show(); }
  const toggle = () => (playing() ? pause() : play());

  function seek(seconds) {
    const at = Math.max(0, Math.min(seconds, duration()));
    for (const entry of rows.values()) media(entry).currentTime = at;
    show();
  }

  function setLoop(start, end) {
    loop = end - start > 0.05 ? { start, end } : null;
    drawLoop();
    if (loop && (time() < start || time() >= end)) seek(start);
    show();
  }

  function clearLoop() { loop = null; drawLoop(); show(); }

  function drawLoop() {
    mirroring = true;
    for (const entry of rows.values()) {
      entry.regions.clearRegions();
      if (loop) entry.regions.addRegion({ ...loop, color: css("--region"), drag: true, resize: true });
    }
    mirroring = false;
  }

  function follow() {
    if (!playing()) { show(); return; }
    if (loop && time() >= loop.end) seek(loop.start);
    show();
    requestAnimationFrame(follow);
  }

  function show() {
    for (const watcher of watchers) {
      watcher({ time: time(), duration: duration(), playing: playing(), loop, chosen, rows });
    }
  }

  function recolour() {
    for (const [name, entry] of rows) paint(entry, name === chosen);
    drawLoop();
  }

  return {
    load, clear, choose, play, pause, toggle, seek, clearLoop, recolour, playing, time, duration,
    watch: (watcher) => watchers.push(watcher),
    expect: () => { wanted = true; },
    keys: () => new Map([...rows].map(([key, entry]) => [(entry.spec.letter || "").toLowerCase(), key])),
    chosen: () => chosen,
    ready: () => Boolean(box) && box.dataset.state === "ready",
    /* What the tests look at: the sound element that is heard. */
    heard: () => (current() ? media(current()) : null),
    url: () => (current() ? current().spec.url : null),
  };
})();
