"use strict";

/* The map of an atlas. Points are written into the pixels of a canvas by hand: that needs no
   graphics card, and 100,000 of them take a few milliseconds. */

window.auralise_map_view = (() => {
  let canvas = null;
  let data = null;
  let colours = null; // Uint32Array, one for each point
  let shown = null; // Uint8Array: whether the search finds it
  let xs = new Float32Array(0);
  let ys = new Float32Array(0);
  let hidden = 0; // how many points the search does not find
  let key = [];
  let view = { x: 0, y: 0, scale: 1 };
  let pending = false;
  let grid = null;
  let hearing = false;
  let resting = null;
  const sound = new Audio();
  const HUES = [
    [47, 96, 121], [196, 98, 45], [76, 140, 74], [138, 79, 150], [186, 140, 20], [60, 142, 160],
    [190, 70, 100], [105, 105, 105], [120, 110, 50], [80, 90, 190], [30, 150, 110], [150, 80, 60],
  ];
  const REST = 140; // pixels reach this far from a resting pointer: 8 px

  const pack = ([r, g, b], alpha) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;

  function attach() {
    const found = document.getElementById("map-canvas");
    if (!found || found === canvas) return Boolean(found);
    canvas = found;
    canvas.addEventListener("pointerdown", grab);
    canvas.addEventListener("pointermove", hover);
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("wheel", zoom, { passive: false });
    canvas.addEventListener("keydown", keys);
    new ResizeObserver(draw).observe(canvas);
    const button = document.getElementById("map-sound");
    button.addEventListener("click", () => {
      hearing = !hearing;
      button.setAttribute("aria-pressed", String(hearing));
      button.textContent = hearing ? "Be quiet" : "Let me hear";
      if (!hearing) sound.pause();
    });
    return true;
  }

  function load(points, colour) {
    data = points;
    view = { x: 0, y: 0, scale: 1 };
    xs = Float32Array.from(points.x);
    ys = Float32Array.from(points.y);
    shown = new Uint8Array(points.x.length).fill(1);
    hidden = 0;
    index();
    paint(colour);
  }

  /* A grid over the plane, so that the point under the pointer is found at once. */
  const SIDE = 256;
  const cell = (value) => Math.max(0, Math.min(SIDE - 1, Math.floor((value + 1) / 2 * SIDE)));

  function index() {
    grid = new Map();
    for (let i = 0; i < data.x.length; i += 1) {
      const at = cell(data.y[i]) * SIDE + cell(data.x[i]);
      if (grid.has(at)) grid.get(at).push(i); else grid.set(at, [i]);
    }
  }

  function paint(by) {
    const values = data[by] || [];
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    const names = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    const hue = new Map(names.map((name, i) => [name, HUES[Math.min(i, HUES.length - 1)]]));
    colours = new Uint32Array(data.x.length);
    for (let i = 0; i < colours.length; i += 1) colours[i] = pack(hue.get(values[i]) || HUES[7], 255);
    key = names.slice(0, HUES.length).map((name, i) => ({ name: name || "none", hue: HUES[i] }));
    legend();
    draw();
  }

  function legend() {
    const box = document.getElementById("map-key");
    if (!box) return;
    box.replaceChildren(...key.map(({ name, hue }) => {
      const item = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.background = `rgb(${hue})`;
      item.append(dot, name);
      return item;
    }));
  }

  function search(text) {
    const wanted = (text || "").toLowerCase().trim();
    let found = 0;
    for (let i = 0; i < data.x.length; i += 1) {
      const hit = !wanted || `${data.text[i]} ${data.label[i]}`.toLowerCase().includes(wanted);
      shown[i] = hit ? 1 : 0;
      found += shown[i];
    }
    hidden = data.x.length - found;
    draw();
    return found;
  }

  function draw() {
    if (pending || !canvas || !data) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; render(); });
  }

  function size() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    return { width, height, ratio };
  }

  let image = null;
  let pixels = null;

  function render() {
    if (!canvas.isConnected) return;
    const began = performance.now();
    const { width, height, ratio } = size();
    const context = canvas.getContext("2d");
    if (!image || image.width !== width || image.height !== height) {
      image = context.createImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
    }
    pixels.fill(0);
    const unit = Math.min(width, height) / 2 * 0.95 * view.scale;
    const many = xs.length > 20000;
    const side = Math.max(2, Math.round((many ? 2 : 5) * ratio));
    const left = width / 2 - view.x * unit - side / 2;
    const top = height / 2 + view.y * unit - side / 2;
    const right = width - side;
    const bottom = height - side;
    const dim = pack([150, 160, 165], 70);
    for (let turn = hidden ? 0 : 1; turn < 2; turn += 1) { // what the search finds lies on top
      for (let i = 0; i < xs.length; i += 1) {
        if (shown[i] !== turn) continue;
        const x = (left + xs[i] * unit) | 0;
        const y = (top - ys[i] * unit) | 0;
        if (x < 0 || y < 0 || x > right || y > bottom) continue;
        const colour = turn ? colours[i] : dim;
        for (let row = 0, at = y * width + x; row < side; row += 1, at += width) {
          for (let column = 0; column < side; column += 1) pixels[at + column] = colour;
        }
      }
    }
    context.putImageData(image, 0, 0);
    frames += 1;
    costs.push(performance.now() - began);
    if (costs.length > 200) costs.shift();
  }

  const costs = [];
  let frames = 0;
  let held = null;

  function grab(event) {
    held = { x: event.clientX, y: event.clientY, moved: false, view: { ...view } };
    canvas.setPointerCapture(event.pointerId);
    const move = (now) => {
      const dx = now.clientX - held.x;
      const dy = now.clientY - held.y;
      if (Math.hypot(dx, dy) > 4) held.moved = true;
      const unit = Math.min(canvas.clientWidth, canvas.clientHeight) / 2 * 0.95 * view.scale;
      view.x = held.view.x - dx / unit;
      view.y = held.view.y + dy / unit;
      draw();
    };
    const drop = (now) => {
      canvas.removeEventListener("pointermove", move);
      canvas.removeEventListener("pointerup", drop);
      canvas.removeEventListener("pointercancel", drop);
      const clicked = !held.moved;
      held = null;
      if (clicked) follow(nearest(now));
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", drop);
    canvas.addEventListener("pointercancel", drop);
  }

  function nearest(event) {
    if (!data) return -1;
    const box = canvas.getBoundingClientRect();
    const unit = Math.min(box.width, box.height) / 2 * 0.95 * view.scale;
    const x = view.x + (event.clientX - box.left - box.width / 2) / unit;
    const y = view.y - (event.clientY - box.top - box.height / 2) / unit;
    const reach = 8 / unit;
    let best = -1;
    let least = reach * reach;
    for (let row = cell(y - reach); row <= cell(y + reach); row += 1) {
      for (let column = cell(x - reach); column <= cell(x + reach); column += 1) {
        for (const i of grid.get(row * SIDE + column) || []) {
          const away = (data.x[i] - x) ** 2 + (data.y[i] - y) ** 2;
          if (shown[i] && away < least) { least = away; best = i; }
        }
      }
    }
    return best;
  }

  function hover(event) {
    if (held || !data) return;
    const i = nearest(event);
    const tip = document.getElementById("map-tip");
    canvas.style.cursor = i < 0 ? "grab" : "pointer";
    tip.textContent = i < 0 ? "" : `${data.text[i]}${data.label[i] ? ` (${data.label[i]})` : ""}`;
    if (resting && resting.i === i) return;
    if (resting) clearTimeout(resting.timer);
    resting = { i, timer: i < 0 ? 0 : setTimeout(() => hear(i), REST) };
  }

  function leave() {
    if (resting) clearTimeout(resting.timer);
    resting = null;
  }

  function hear(i) {
    if (!hearing) return;
    const id = encodeURIComponent(data.id[i]);
    sound.src = data.of === "clips" ? `/atlas/clip?clip=${id}` : `/atlas/excerpt?unit=${id}&kind=top&number=0`;
    sound.play().catch(() => {}); // another point came in between
  }

  function follow(i) {
    if (i < 0 || data.of !== "units") return;
    const at = data.id[i].lastIndexOf(":");
    const search = new URLSearchParams({ layer: data.id[i].slice(0, at), unit: data.id[i].slice(at + 1) });
    window.dash_clientside.set_props("url", { pathname: "/unit", search: `?${search}` });
  }

  function zoom(event) {
    event.preventDefault();
    scale(Math.exp(-event.deltaY / 400));
  }

  function scale(factor) {
    view.scale = Math.max(0.5, Math.min(400, view.scale * factor));
    draw();
  }

  function keys(event) {
    const step = 0.15 / view.scale;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; }
    else if (event.key === "+") view.scale *= 1.3;
    else if (event.key === "-") view.scale /= 1.3;
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  }

  return {
    attach, load, paint, search, draw, scale, nearest,
    frames: () => frames,
    /* What the last frames cost, in ms: the middle one. */
    cost: () => [...costs].sort((a, b) => a - b)[costs.length >> 1],
    points: () => (data ? data.x.length : 0),
    sound: () => sound,
    /* Where a point is on the screen. */
    place(i) {
      const box = canvas.getBoundingClientRect();
      const unit = Math.min(box.width, box.height) / 2 * 0.95 * view.scale;
      return [
        box.left + box.width / 2 + (data.x[i] - view.x) * unit,
        box.top + box.height / 2 - (data.y[i] - view.y) * unit,
      ];
    },
  };
})();

(() => {
  const map = window.auralise_map_view;
  let last = "";
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    auralise_map: {
      choose(of, layer, by, colour) {
        const parts = new URLSearchParams(window.location.search);
        const before = parts.toString();
        const wanted = { of, map_layer: layer, by, colour };
        const defaults = { of: "units", by: "pca", colour: "label" };
        for (const [name, value] of Object.entries(wanted)) {
          if (!value || (value === defaults[name] && !parts.has(name))) continue;
          if (name === "map_layer" && !parts.has(name) && of !== "clips") continue;
          parts.set(name, value);
        }
        if (window.location.pathname === "/map" && parts.toString() !== before) {
          window.dash_clientside.set_props("url", { search: `?${parts}` });
        }
        return window.dash_clientside.no_update;
      },
      async show(given, text) {
        if (!given || !map.attach()) return "";
        if (given.url !== last || !map.points()) {
          last = given.url;
          const answer = await fetch(given.url);
          if (!answer.ok) return "The points are not kept any more; load the page again.";
          map.load(await answer.json(), given.colour);
        } else {
          map.paint(given.colour);
        }
        const found = map.search(text);
        return `${found} of ${map.points()} points`;
      },
    },
  });
})();
