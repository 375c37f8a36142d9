"use strict";

/* Players cost the browser more than all else on a unit's page. The first one is there at once; the
   others are made when the browser has time, those in closed parts when they are opened. */

(() => {
  function make(place) {
    const old = place.firstElementChild;
    if (old && old.getAttribute("src") === place.dataset.sound) return;
    const sound = document.createElement("audio");
    sound.controls = true;
    sound.preload = "none";
    sound.src = place.dataset.sound;
    place.replaceChildren(sound);
  }

  const places = (root) => [...root.querySelectorAll("[data-sound]")];
  const open = (place) => !place.closest("details:not([open])");
  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  let waiting = false;

  function fill() {
    waiting = false;
    const empty = places(document).filter((place) => open(place) && !place.firstElementChild);
    empty.slice(0, 2).forEach(make);
    if (empty.length > 2) later();
  }

  function later() {
    if (waiting) return;
    waiting = true;
    idle(fill, { timeout: 1000 });
  }

  /* A place that stays in the document may be of another unit now. */
  const refresh = () => places(document).filter((place) => place.firstElementChild).forEach(make);

  document.addEventListener("toggle", (event) => {
    if (event.target.open) places(event.target).forEach(make);
  }, true);

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    auralise_unit: {
      /* Says when the first sound can be played; until then nothing else is asked for. */
      players() {
        refresh();
        return new Promise((resolve) => {
          const said = () => { later(); resolve(String(performance.now())); };
          const look = () => {
            const first = document.querySelector("#unit-top audio");
            if (!first || first.readyState >= 3) return said();
            first.addEventListener("canplay", said, { once: true });
            first.addEventListener("error", said, { once: true });
            return setTimeout(said, 1000);
          };
          // Two frames on, the new unit's player stands where the old one's did.
          requestAnimationFrame(() => requestAnimationFrame(look));
        });
      },
      rest() {
        refresh();
        later();
        return "";
      },
    },
  });
})();
