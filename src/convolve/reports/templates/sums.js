"use strict";
(() => {
  const rows = [...document.querySelectorAll("tr[data-read]")];
  const cells = new Map([...document.querySelectorAll("[data-cell]")].map((cell) => [cell.dataset.cell, cell]));
  const steps = rows.map((row) => ({
    row,
    read: row.dataset.read.split(" ").filter(Boolean),
    written: row.dataset.written.split(" ").map((pair) => pair.split("=")),
  }));
  const everWritten = new Set(steps.flatMap((step) => step.written.map(([place]) => place)));
  const rest = [...document.querySelectorAll(".made td")].filter((cell) => !everWritten.has(cell.dataset.cell));
  const zeros = rest.map((cell) => cell.textContent);
  const player = document.getElementById("player");
  const [controls, board] = [player.querySelector(".controls"), player.querySelector(".board")];
  const [play, slider, output] = ["play", "", ""].map((name, place) =>
    controls.querySelector([`.${name}`, "input", "output"][place]));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let now = 0;
  let clock = 0;

  function paint() {
    for (const cell of cells.values()) cell.classList.remove("read", "now");
    for (const cell of player.querySelectorAll(".made td")) {
      cell.textContent = "";
      cell.classList.remove("done");
    }
    steps.slice(0, now + 1).forEach((step) => step.written.forEach(([place, value]) => {
      cells.get(place).textContent = value;
      cells.get(place).classList.add("done");
    }));
    if (now === steps.length - 1) rest.forEach((cell, place) => { cell.textContent = zeros[place]; });
    const { read, written } = steps[now];
    read.forEach((place) => cells.get(place).classList.add("read"));
    written.forEach(([place]) => cells.get(place).classList.add("now"));
    const busy = new Set([...read, ...written.map(([place]) => place)].map((place) => place.split("-")[0]));
    for (const grid of player.querySelectorAll(".grid")) grid.classList.toggle("idle", !busy.has(grid.dataset.grid));
  }

  function write() {
    const { row } = steps[now];
    const heading = document.createElement("h3");
    const part = document.createElement("i");
    heading.textContent = row.querySelector("th").textContent;
    part.textContent = row.dataset.part;
    heading.append(part);
    board.replaceChildren(heading, ...[...row.querySelector("td").children].map((child) => child.cloneNode(true)));
    rows.forEach((each) => each.classList.toggle("current", each === row));
    slider.value = now + 1;
    output.textContent = `${now + 1} of ${steps.length}`;
  }

  function show(step) {
    now = Math.max(0, Math.min(steps.length - 1, step));
    paint();
    write();
  }

  function stop() {
    clearInterval(clock);
    clock = 0;
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play");
    board.setAttribute("aria-live", "polite");
  }

  function start() {
    if (now === steps.length - 1) show(0);
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "Pause");
    board.setAttribute("aria-live", "off");
    clock = setInterval(() => (now < steps.length - 1 ? show(now + 1) : stop()), still.matches ? 1800 : 1000);
  }

  function go(step) {
    stop();
    show(step);
  }

  play.addEventListener("click", () => (clock ? stop() : start()));
  controls.querySelector(".back").addEventListener("click", () => go(now - 1));
  controls.querySelector(".on").addEventListener("click", () => go(now + 1));
  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  document.addEventListener("keydown", (event) => {
    if (event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") go(now - 1);
    if (event.key === "ArrowRight") go(now + 1);
  });
  rows.forEach((row, step) => row.addEventListener("click", () => {
    if (String(getSelection())) return;
    go(step);
    player.scrollIntoView();
  }));
  cells.forEach((cell, place) => cell.addEventListener("click", () => {
    const step = steps.slice(0, now + 1).findLastIndex((each) => each.written.some(([written]) => written === place));
    if (step >= 0) go(step);
  }));
  document.documentElement.classList.add("js");
  controls.hidden = board.hidden = false;
  show(0);
})();
