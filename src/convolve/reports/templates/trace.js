"use strict";
(() => {
  const rows = [...document.querySelectorAll("tr[data-inputs]")];
  const cells = new Map([...document.querySelectorAll("[data-cell]")].map((cell) => [cell.dataset.cell, cell]));
  const steps = rows.map((row) => ({
    row,
    inputs: row.dataset.inputs.split(" ").filter(Boolean),
    outputs: row.dataset.outputs.split(" ").map((pair) => pair.split("=")),
    marks: new Map((row.dataset.marks ?? "").split(" ").filter(Boolean).map((pair) => pair.split("="))),
  }));
  const marked = new Set(steps.flatMap((step) => [...step.marks.keys()]));
  const shapes = [...document.querySelectorAll("[data-shape]")].filter((shape) => marked.has(shape.dataset.shape));
  const computed = new Set(steps.flatMap((step) => step.outputs.map(([id]) => id)));
  const untouched = [...document.querySelectorAll(".result td")].filter((cell) => !computed.has(cell.dataset.cell));
  const zeros = untouched.map((cell) => cell.textContent);
  const player = document.getElementById("player");
  const controls = player.querySelector(".controls");
  const currentStep = player.querySelector(".current-step");
  const play = controls.querySelector(".play");
  const slider = controls.querySelector("input");
  const output = controls.querySelector("output");
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  let position = 0;
  let timer = 0;

  function renderGrids() {
    for (const cell of cells.values()) cell.classList.remove("input", "output");
    for (const cell of player.querySelectorAll(".result td")) {
      cell.textContent = "";
      cell.classList.remove("computed");
    }
    steps.slice(0, position + 1).forEach((step) => step.outputs.forEach(([id, value]) => {
      cells.get(id).textContent = value;
      cells.get(id).classList.add("computed");
    }));
    if (position === steps.length - 1) untouched.forEach((cell, index) => { cell.textContent = zeros[index]; });
    const { inputs, outputs } = steps[position];
    inputs.forEach((id) => cells.get(id).classList.add("input"));
    outputs.forEach(([id]) => cells.get(id).classList.add("output"));
    const active = new Set([...inputs, ...outputs.map(([id]) => id)].map((id) => id.split("-")[0]));
    for (const grid of player.querySelectorAll(".grid")) grid.classList.toggle("idle", !active.has(grid.dataset.grid));
  }

  function renderDrawing() {
    for (const shape of shapes) {
      const id = shape.dataset.shape;
      const last = steps.slice(0, position + 1).findLast((step) => step.marks.has(id));
      const current = last === steps[position];
      const mark = last?.marks.get(id) ?? "hidden";
      shape.dataset.mark = mark === "brief" && !current ? "hidden" : mark;
      shape.classList.toggle("current", current);
    }
  }

  function renderStep() {
    const { row } = steps[position];
    const heading = document.createElement("h3");
    const phase = document.createElement("i");
    heading.textContent = row.querySelector("th").textContent;
    phase.textContent = row.dataset.phase;
    heading.append(phase);
    currentStep.replaceChildren(heading, ...[...row.querySelector("td").children].map((child) => child.cloneNode(true)));
    rows.forEach((each) => each.classList.toggle("current", each === row));
    slider.value = position + 1;
    const numbers = [position + 1, steps.length];
    output.textContent = player.dataset.position.replace(/#/g, () => numbers.shift());
  }

  function show(step) {
    position = Math.max(0, Math.min(steps.length - 1, step));
    renderGrids();
    renderDrawing();
    renderStep();
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶";
    play.setAttribute("aria-label", player.dataset.play);
    currentStep.setAttribute("aria-live", "polite");
  }

  function start() {
    if (position === steps.length - 1) show(0);
    play.textContent = "❚❚";
    play.setAttribute("aria-label", player.dataset.pause);
    currentStep.setAttribute("aria-live", "off");
    const advance = () => (position < steps.length - 1 ? show(position + 1) : stop());
    timer = setInterval(advance, reducedMotion.matches ? 1800 : 1000);
  }

  function go(step) {
    stop();
    show(step);
  }

  play.addEventListener("click", () => (timer ? stop() : start()));
  controls.querySelector(".previous").addEventListener("click", () => go(position - 1));
  controls.querySelector(".next").addEventListener("click", () => go(position + 1));
  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  document.addEventListener("keydown", (event) => {
    if (event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") go(position - 1);
    if (event.key === "ArrowRight") go(position + 1);
  });
  rows.forEach((row, step) => row.addEventListener("click", () => {
    if (String(getSelection())) return;
    go(step);
    player.scrollIntoView();
  }));
  cells.forEach((cell, id) => cell.addEventListener("click", () => {
    const step = steps.slice(0, position + 1).findLastIndex((each) => each.outputs.some(([other]) => other === id));
    if (step >= 0) go(step);
  }));
  document.documentElement.classList.add("js");
  controls.hidden = currentStep.hidden = false;
  show(0);
})();
