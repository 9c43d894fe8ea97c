"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tools = document.getElementById("tools");
  const cards = all(".card");
  const grid = document.querySelector(".cards");
  const columns = Number(grid.style.getPropertyValue("--columns"));
  const output = tools.querySelector("output");
  const slider = tools.elements.opacity;
  let before = slider.value;

  const fade = () => {
    document.documentElement.style.setProperty("--opacity", slider.value / 100);
    document.body.classList.toggle("transparent", slider.value === "0");
  };

  const filter = () => {
    const options = new FormData(tools);
    const matches = (card, name) => !options.get(name) || card.dataset[name] === options.get(name);
    cards.forEach((card) => { card.hidden = !["prediction", "groundTruth", "verdict"].every((name) => matches(card, name)); });
    if (all("[name=method]", tools).length) {
      const methods = new Set(options.getAll("method"));
      all(".tile[data-method]").forEach((tile) => { tile.hidden = !methods.has(tile.dataset.method); });
      const rows = all(".tile-row", grid).map((row) => all(".tile:not([hidden])", row).length);
      grid.style.setProperty("--columns", Math.min(columns, 1 + Math.max(0, ...rows)));
    }
    document.body.classList.toggle("boxless", tools.elements.boxes ? !tools.elements.boxes.checked : false);
    const count = cards.filter((card) => !card.hidden).length;
    const counts = [count, cards.length];
    output.textContent = output.dataset.text.replace(/#/g, () => counts.shift());
    document.querySelector(".none").hidden = count > 0;
  };

  const move = (step) => {
    const visible = cards.filter((card) => !card.hidden);
    if (!visible.length) return;
    const current = visible.indexOf(document.activeElement.closest(".card"));
    const next = current < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, current + step));
    visible[next].focus({ preventScroll: true });
    visible[next].scrollIntoView({ block: "nearest" });
  };

  const hide = () => {
    [slider.value, before] = slider.value === "0" ? [before === "0" ? "75" : before, "0"] : ["0", slider.value];
    fade();
  };

  const keys = { ArrowRight: () => move(1), ArrowLeft: () => move(-1), h: hide, H: hide };
  document.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  slider.addEventListener("input", fade);
  tools.addEventListener("change", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  all(".keys, #tools").forEach((part) => { part.hidden = false; });
  fade();
  filter();
})();
