"use strict";

/* Play button, keys and playhead of the players; pages of the dashboard and exported ones alike. */

(() => {
  const players = window.auralise;
  const byId = (id) => document.getElementById(id);

  players.typing = "input, textarea, select, [contenteditable], [role=slider], [role=listbox], [role=option]";

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(players.typing)) return;
    const letter = event.key.toLowerCase();
    if (event.key === " ") {
      if (event.target.closest("button, summary, a[href]:not([data-unit])") || !players.ready()) return;
      event.preventDefault();
      players.toggle();
    } else if (event.key === "Escape") {
      players.clearLoop();
    } else if (players.keys().has(letter)) {
      players.choose(players.keys().get(letter));
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest(".play")) players.toggle();
    if (event.target.closest("#transport-loop")) players.clearLoop();
  });

  /* Playhead over the figure, and the transport. */

  const seconds = (value) => `${value.toFixed(2)} s`;

  players.watch(({ time, duration, playing, loop }) => {
    playhead(time); // first: it asks where things are, and what is written below moves them
    for (const button of document.querySelectorAll(".play")) {
      if (button.dataset.playing === String(playing)) continue;
      button.setAttribute("aria-label", playing ? "Pause" : "Play");
      button.dataset.playing = String(playing);
    }
    if (byId("transport-play")) {
      write("transport-time", `${seconds(time)} of ${seconds(duration)}`);
      byId("transport-loop").hidden = !loop;
      write("transport-loop", loop ? `Loop ${seconds(loop.start)} to ${seconds(loop.end)} ✕` : "");
    }
  });

  function write(id, text) {
    if (byId(id).textContent !== text) byId(id).textContent = text;
  }

  function playhead(time) {
    const holder = byId("figure-box");
    const plot = holder && holder.querySelector(".js-plotly-plot");
    if (!plot || !plot._fullLayout || !plot._fullLayout.xaxis || !players.ready()) return;
    let line = holder.querySelector(".playhead");
    if (!line) {
      line = document.createElement("div");
      line.className = "playhead";
      holder.append(line);
    }
    const layout = plot._fullLayout;
    const x = layout.xaxis.l2p(time);
    line.style.display = x >= 0 && x <= layout.xaxis._length ? "block" : "none";
    line.style.transform = `translate(${plot.offsetLeft + layout.xaxis._offset + x}px, ${layout._size.t}px)`;
    line.style.height = `${layout._size.h}px`;
  }
})();
