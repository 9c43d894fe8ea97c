"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const fill = (text, ...values) => text.replace(/#/g, () => values.shift());

  // The confusion matrix: arrow keys walk through its cells, and a chosen cell is announced as `cellselect`.
  const confusion = (section) => {
    const matrix = section.querySelector(".matrix");
    const readout = section.querySelector(".readout");
    const columns = matrix ? all("thead th", matrix) : [];
    const rows = matrix ? all("tbody th", matrix) : [];

    const sentence = (button) => {
      const [row, column] = button.dataset.cell.split("-").map(Number);
      const names = matrix ? [rows[row], columns[column]] : all("b", button);
      const [truth, predicted] = names.map((name) => name.textContent.trim());
      const count = Number(button.dataset.count ?? button.textContent);
      const number = String(count).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
      const { text, textOne, textRight, textWrong } = readout.dataset;
      return `${fill(row === column ? textRight : textWrong, truth, predicted)} ${fill(count === 1 ? textOne : text, number)}`;
    };

    const select = (button, focus) => {
      all("[aria-pressed]", section).forEach((other) => other.removeAttribute("aria-pressed"));
      button.setAttribute("aria-pressed", "true");
      readout.textContent = sentence(button);
      const detail = { button, cell: button.dataset.cell, sentence: sentence(button), focus };
      section.dispatchEvent(new CustomEvent("cellselect", { detail }));
    };
    all("button[data-cell]", section).forEach((button) => button.addEventListener("click", () => select(button, true)));

    if (matrix) {
      const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
      const buttons = new Map(all("button", matrix).map((button) => [button.dataset.cell, button]));
      let current = buttons.values().next().value;
      if (current) current.tabIndex = 0;

      const light = (event) => {
        const button = event.target.closest("button");
        if (!button) return;
        all("th.lit", matrix).forEach((head) => head.classList.remove("lit"));
        const [row, column] = button.dataset.cell.split("-").map(Number);
        rows[row].classList.add("lit");
        columns[column].classList.add("lit");
        readout.textContent = sentence(button);
      };
      matrix.addEventListener("mouseover", light);
      matrix.addEventListener("focusin", light);
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
    const fullest = section.querySelector(".pairs button");
    if (fullest) select(fullest, false);
  };

  // A table of metrics is sorted by the heading that is clicked, in the other direction at the second click.
  const sortable = (table) => all("thead th", table).forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => (column ? key(a) - key(b) : key(a).localeCompare(key(b), undefined, { numeric: true }));
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a))));
      all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    });
  });

  all("#confusion").forEach(confusion);
  all(".figures").forEach(sortable);
})();
