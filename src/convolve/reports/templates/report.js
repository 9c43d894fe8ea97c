"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const matrix = document.querySelector(".matrix");
  const gallery = document.getElementById("gallery");
  const names = all("#classes tbody th").map((head) => head.textContent.trim());
  let opener = null;

  const sentence = (button) => {
    const [truth, predicted] = button.dataset.cell.split("-").map(Number);
    const count = Number(button.dataset.count ?? button.textContent);
    const what = truth === predicted ? "rightly taken for it" : `taken for ${names[predicted]}`;
    const unit = matrix?.dataset.counted ?? "images";
    const number = String(count).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
    return `${names[truth]}, ${what}: ${number} ${count === 1 ? unit.slice(0, -1) : unit}`;
  };

  const show = (button) => {
    const { cell } = button.dataset;
    const figures = all("figure", gallery);
    figures.forEach((figure) => { figure.hidden = figure.dataset.cell !== cell; });
    const shown = figures.filter((figure) => !figure.hidden).length;
    gallery.querySelector("h3").textContent = `${sentence(button)}${shown ? `, ${shown} shown` : ""}`;
    gallery.querySelector(".none").hidden = shown > 0;
    all("[data-cell][aria-pressed]").forEach((other) => other.removeAttribute("aria-pressed"));
    button.setAttribute("aria-pressed", "true");
    gallery.hidden = false;
    opener = button;
  };

  const open = (button) => {
    show(button);
    gallery.scrollIntoView({ block: "nearest" });
    gallery.focus({ preventScroll: true });
  };

  const close = () => {
    gallery.hidden = true;
    opener.removeAttribute("aria-pressed");
    opener.focus();
  };

  if (gallery) {
    all("button[data-cell]").forEach((button) => button.addEventListener("click", () => open(button)));
    gallery.querySelector(".close").addEventListener("click", close);
    gallery.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
    const fullest = document.querySelector(".pairs button");
    if (fullest) show(fullest);
  }

  if (matrix) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const buttons = new Map(all("button", matrix).map((button) => [button.dataset.cell, button]));
    let current = buttons.values().next().value;
    const columns = all("thead th", matrix);
    const rows = all("tbody th", matrix);
    if (current) current.tabIndex = 0;

    const light = (button) => {
      all("th.lit", matrix).forEach((head) => head.classList.remove("lit"));
      const [row, column] = button.dataset.cell.split("-").map(Number);
      rows[row].classList.add("lit");
      columns[column].classList.add("lit");
      document.getElementById("readout").textContent = sentence(button);
    };
    const reach = (event) => { const button = event.target.closest("button"); if (button) light(button); };
    matrix.addEventListener("mouseover", reach);
    matrix.addEventListener("focusin", reach);
    matrix.addEventListener("focusin", (event) => { current.tabIndex = -1; current = event.target; current.tabIndex = 0; });
    matrix.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      const button = event.target.closest("button");
      if (!step || !button) return;
      event.preventDefault();
      let [row, column] = button.dataset.cell.split("-").map(Number);
      let next = null;
      do {
        row += step[0]; column += step[1];
        next = buttons.get(`${row}-${column}`);
      } while (!next && rows[row] && columns[column]);
      if (next) next.focus();
    });
  }

  all(".figures thead th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const body = document.querySelector(".figures tbody");
    const rising = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : true;
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => (column ? key(a) - key(b) : key(a).localeCompare(key(b), undefined, { numeric: true }));
    body.append(...[...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a))));
    all(".figures th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }));
})();
