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
  const FULL = 10000; // of an outline
  const SOME = 1.5; // seconds; a unit that is followed at the very end is not over at once
  let begin = 0; // where playing starts when nobody has said where
  const watchers = [];

  let kept = {}; // colours as they are now; to ask for one makes the browser lay out the page
  const css = (name) => {
    kept[name] ||= getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return kept[name];
  };
  const current = () => rows.get(chosen);
  const media = (row) => row.wave.getMediaElement();
  const playing = () => Boolean(current()) && !media(current()).paused;
  const time = () => (current() ? media(current()).currentTime : 0);
  const duration = () => (current() ? current().spec.seconds || current().wave.getDuration() || 0 : 0);

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
    element.addEventListener("playing", () => { if (key === chosen) join(); });
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
    if (dressed(entry, main)) entry.wave.setOptions({});
  }

  /* Set how a waveform is to look; say whether that is new. */
  function dressed(entry, main) {
    const options = { ...colours(main), barHeight };
    const now = JSON.stringify([options, entry.spec.url]);
    if (entry.painted === now) return false;
    entry.painted = now;
    Object.assign(entry.wave.options, options);
    return true;
  }

  const outlined = (spec) => Boolean(spec.peaks && spec.peaks.length && spec.seconds);

  /* All waveforms are drawn on one scale, on which the highest peak fills the height. */
  function scale() {
    let highest = 0;
    for (const { wave, spec } of rows.values()) {
      if (outlined(spec)) {
        highest = Math.max(highest, Math.max(...spec.peaks) / FULL);
        continue;
      }
      const data = wave.getDecodedData();
      if (!data) continue;
      for (const value of data.getChannelData(0)) highest = Math.max(highest, Math.abs(value));
    }
    return highest > 0 ? 1 / highest : 1;
  }

  async function load(element, specs, from = 0) {
    if (element !== box) { clear(); box = element; }
    if (specs.length === rows.size && specs.every((spec) => rows.has(spec.key) && rows.get(spec.key).spec.url === spec.url)) {
      if (wanted && !playing()) play();
      return;
    }
    const turn = ++loading;
    const resume = wanted || playing();
    const at = time();
    const known = specs.some((spec) => rows.has(spec.key) && rows.get(spec.key).spec.url === spec.url);
    const keys = specs.map((spec) => spec.key);
    for (const key of [...rows.keys()].filter((name) => !keys.includes(name))) remove(key);
    for (const entry of rows.values()) media(entry).pause();
    if (!keys.includes(chosen)) chosen = (specs.find((spec) => spec.main) || specs[0]).key;
    box.dataset.state = "loading";
    const fresh = specs.filter((spec) => exchange(spec));
    const place = () => {
      begin = Math.max(0, Math.min(from, duration() - SOME));
      seek(known || loop ? (at < duration() - 0.05 ? at : 0) : begin);
    };
    // with an outline nothing has to be decoded before it sounds
    const early = specs.every(outlined);
    if (early) barHeight = scale();
    const ready = fresh.map((spec) => draw(rows.get(spec.key)));
    if (early) begun(place, resume);
    try {
      await Promise.all([...ready, ...[...rows.values()].map((entry) => playable(media(entry)))]);
    } catch (error) {
      if (turn === loading) box.dataset.state = "failed";
      return;
    }
    if (turn !== loading) return;
    box.dataset.state = "ready";
    if (!early) { barHeight = scale(); begun(place, resume); }
    drawLoop();
    choose(chosen);
    if (wanted && !playing()) play();
    wanted = false;
    show();
  }

  /* Give a player its sound; say whether it is another than before. */
  function exchange(spec) {
    const entry = rows.get(spec.key) || make(spec);
    const other = entry.spec.url !== spec.url;
    entry.spec = spec;
    entry.wave.setMuted(spec.key !== chosen);
    label(entry);
    return other;
  }

  function draw(entry) {
    const { spec, wave } = entry;
    dressed(entry, spec.key === chosen);
    return outlined(spec)
      ? wave.load(spec.url, [spec.peaks.map((peak) => peak / FULL)], spec.seconds)
      : wave.load(spec.url);
  }

  function begun(place, resume) {
    place();
    if (resume) { wanted = false; play(); }
  }

  /* Wait until a sound can be played. */
  function playable(element) {
    if (element.readyState >= 3) return Promise.resolve();
    return new Promise((resolve, reject) => {
      element.addEventListener("canplay", resolve, { once: true });
      element.addEventListener("error", reject, { once: true });
    });
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
    const sounding = playing();
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
    if (sounding && next.paused) next.play().catch(() => show()); // it had not joined yet
    show();
  }

  function play() {
    if (!current()) { wanted = true; return; }
    media(current()).play().catch(() => show());
    requestAnimationFrame(follow);
  }

  /* Let the other sounds run along with the one that is heard; it is not kept waiting for them. */
  function join() {
    if (!playing()) return;
    const at = time();
    for (const entry of rows.values()) {
      const element = media(entry);
      if (element === media(current())) continue;
      if (Math.abs(element.currentTime - at) > 0.02) element.currentTime = at;
      element.play().catch(() => show());
    }
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
    kept = {};
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
