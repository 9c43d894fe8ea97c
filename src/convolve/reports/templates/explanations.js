"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tools = document.getElementById("tools");
  const cases = all(".case");
  const slider = tools.elements.opacity;
  let before = slider.value;

  const fade = () => {
    document.documentElement.style.setProperty("--opacity", slider.value / 100);
    document.body.classList.toggle("faded", slider.value === "0");
  };

  const choose = () => {
    const asked = new FormData(tools);
    const wanted = (one, name) => !asked.get(name) || one.dataset[name] === asked.get(name);
    cases.forEach((one) => { one.hidden = !["label", "truth", "verdict"].every((name) => wanted(one, name)); });
    const boxes = tools.querySelectorAll("[name=method]");
    const methods = new Set(asked.getAll("method"));
    all("figure[data-method]").forEach((map) => { map.hidden = boxes.length > 0 && !methods.has(map.dataset.method); });
    document.body.classList.toggle("unboxed", tools.elements.boxes ? !tools.elements.boxes.checked : false);
    const count = cases.filter((one) => !one.hidden).length;
    tools.querySelector("output").textContent = `${count} of ${cases.length} images`;
    document.querySelector(".none").hidden = count > 0;
  };

  const walk = (step) => {
    const shown = cases.filter((one) => !one.hidden);
    if (!shown.length) return;
    const here = shown.indexOf(document.activeElement.closest(".case"));
    const next = here < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, here + step));
    shown[next].focus({ preventScroll: true });
    shown[next].scrollIntoView({ block: "start" });
  };

  const hide = () => {
    [slider.value, before] = slider.value === "0" ? [before === "0" ? "75" : before, "0"] : ["0", slider.value];
    fade();
  };

  const keys = { ArrowRight: () => walk(1), ArrowLeft: () => walk(-1), h: hide, H: hide };
  document.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    const typed = event.target.closest("input, select");
    if (!act || typed || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  slider.addEventListener("input", fade);
  tools.addEventListener("change", choose);
  tools.addEventListener("submit", (event) => event.preventDefault());
  all(".keys, #tools").forEach((part) => { part.hidden = false; });
  fade();
  choose();
})();
