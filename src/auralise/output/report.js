"use strict";

(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)");
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = read("themes");
  const theme = () => (dark.matches ? themes.dark : themes.light);

  /* Sounds: one plays at a time, and all share one position. */

  const audios = [...document.querySelectorAll("audio")];
  let position = 0;
  let current = null;

  for (const audio of audios) {
    const card = audio.closest(".player");
    audio.addEventListener("play", () => {
      if (current !== audio) {
        if (current) current.pause();
        if (position < (audio.duration || Infinity) - 0.02) audio.currentTime = position;
      }
      current = audio;
      card.dataset.playing = "";
      press();
      requestAnimationFrame(follow);
    });
    audio.addEventListener("pause", () => {
      delete card.dataset.playing;
      if (audio === current) position = audio.currentTime;
      press();
    });
    audio.addEventListener("ended", () => { position = 0; });
    audio.addEventListener("seeked", () => {
      if (audio === current || audio.paused) {
        current = audio.paused && current && !current.paused ? current : audio;
        position = current.currentTime;
        movePlayheads();
      }
    });
  }

  function press() {
    for (const button of document.querySelectorAll("button[data-play]")) {
      const audio = document.getElementById(button.dataset.play);
      button.setAttribute("aria-pressed", String(!audio.paused));
    }
  }

  for (const button of document.querySelectorAll("button[data-play]")) {
    button.addEventListener("click", () => {
      const audio = document.getElementById(button.dataset.play);
      if (audio.paused) audio.play(); else audio.pause();
    });
  }

  function follow() {
    if (!current) return;
    movePlayheads();
    if (!current.paused) requestAnimationFrame(follow);
  }

  /* Figures: drawn when they come near the screen; colours follow the reader's preference. */

  const figures = [...document.querySelectorAll(".figure")];
  const drawn = new Map();

  function fit(width) {
    const narrow = width < 600;
    return { narrow, left: narrow ? 54 : 64, right: narrow ? 10 : 84 };
  }

  function layoutFor(holder, layout) {
    const { narrow, left, right } = fit(holder.clientWidth);
    const changed = { ...layout, template: theme(), margin: { ...layout.margin, l: left, r: right } };
    for (const [key, value] of Object.entries(layout)) {
      if (key.startsWith("coloraxis")) {
        changed[key] = { ...value, showscale: value.showscale && !narrow };
      }
    }
    if (coarse.matches) changed.dragmode = false;
    return changed;
  }

  function draw(holder) {
    if (drawn.has(holder)) return;
    const { data, layout } = read(holder.dataset.figure);
    const plot = document.createElement("div");
    const playhead = document.createElement("div");
    playhead.className = "playhead";
    playhead.setAttribute("aria-hidden", "true");
    holder.replaceChildren(plot, playhead);
    drawn.set(holder, { plot, playhead, layout, narrow: fit(holder.clientWidth).narrow });
    const config = {
      responsive: true,
      displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toggleSpikelines"],
    };
    Plotly.newPlot(plot, data, layoutFor(holder, layout), config).then(() => {
      holder.dataset.drawn = "";
      plot.on("plotly_relayout", movePlayheads);
      plot.on("plotly_click", (event) => seek(holder, event.points[0].x));
      movePlayheads();
    });
  }

  function seek(holder, seconds) {
    const nearest = holder.closest("section").querySelector("audio") || audios[0];
    const audio = current && !current.paused ? current : current || nearest;
    if (!audio) return;
    position = seconds;
    current = audio;
    audio.currentTime = seconds;
    movePlayheads();
  }

  function movePlayheads() {
    const seconds = current ? (current.paused ? position : current.currentTime) : 0;
    for (const [, { plot, playhead }] of drawn) {
      if (!plot.layout || !plot.layout.xaxis || !plot.layout.xaxis.range) continue;
      const { margin, xaxis, height } = plot.layout;
      const [from, to] = xaxis.range;
      const inner = plot.clientWidth - margin.l - margin.r;
      const share = (seconds - from) / (to - from);
      const visible = current && share >= 0 && share <= 1;
      playhead.style.display = visible ? "block" : "none";
      playhead.style.left = `${margin.l + share * inner}px`;
      playhead.style.top = `${margin.t}px`;
      playhead.style.height = `${height - margin.t - margin.b}px`;
    }
  }

  function redress() {
    for (const [holder, known] of drawn) {
      known.narrow = fit(holder.clientWidth).narrow;
      Plotly.relayout(known.plot, layoutFor(holder, { ...known.layout, xaxis: known.plot.layout.xaxis }));
    }
  }

  dark.addEventListener("change", redress);
  window.addEventListener("resize", () => {
    const turned = [...drawn].some(([holder, known]) => fit(holder.clientWidth).narrow !== known.narrow);
    if (turned) redress(); else requestAnimationFrame(movePlayheads);
  });
  window.addEventListener("beforeprint", () => figures.forEach(draw));

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "800px 0px" });
  figures.forEach((figure) => watcher.observe(figure));
})();
