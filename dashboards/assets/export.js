"use strict";

/* A page written to a file: figures and players come from what stands in the page. */

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const themes = read("themes");
  const sounds = read("sounds");
  const plots = [...document.querySelectorAll(".plot")];

  function follow() {
    const scheme = dark.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
    for (const plot of plots) {
      if (plot._fullLayout) Plotly.relayout(plot, { template: themes[scheme] });
    }
    window.auralise.recolour();
  }

  for (const plot of plots) {
    const figure = JSON.parse(plot.querySelector("script").textContent);
    plot.textContent = "";
    figure.layout.template = themes[dark.matches ? "dark" : "light"];
    Plotly.newPlot(plot, figure.data, figure.layout, { displaylogo: false, displayModeBar: false, responsive: true })
      .then(() => plot.on("plotly_click", (click) => window.auralise.seek(Number(click.points[0].x))));
  }
  for (const cell of document.querySelectorAll(".grid [aria-current]")) {
    const grid = cell.closest(".grid");
    grid.scrollTop = cell.offsetTop - grid.offsetTop - grid.clientHeight / 2;
  }
  follow();
  dark.addEventListener("change", follow);
  const holder = document.getElementById("players");
  if (holder && sounds.sounds.length) window.auralise.load(holder, sounds.sounds, sounds.from || 0);
})();
