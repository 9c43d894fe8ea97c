"use strict";
(() => {
  // The images of the cell that is chosen in the confusion matrix.
  const gallery = document.querySelector(".gallery");
  if (!gallery) return;
  let opener = null;

  gallery.closest("section").addEventListener("cellselect", ({ detail }) => {
    const figures = [...gallery.querySelectorAll("figure")];
    figures.forEach((figure) => { figure.hidden = figure.dataset.cell !== detail.cell; });
    const visible = figures.filter((figure) => !figure.hidden);
    const columns = Math.max(1, ...visible.map((figure) => figure.querySelectorAll(".tile").length));
    gallery.querySelector(".cards").style.setProperty("--columns", columns);
    gallery.querySelector("h3").textContent = `${detail.sentence}${visible.length ? gallery.dataset.text.replace("#", visible.length) : ""}`;
    gallery.querySelector(".none").hidden = visible.length > 0;
    gallery.hidden = false;
    opener = detail.button;
    if (!detail.focus) return;
    gallery.scrollIntoView({ block: "nearest" });
    gallery.focus({ preventScroll: true });
  });

  const close = () => {
    gallery.hidden = true;
    opener.removeAttribute("aria-pressed");
    opener.focus();
  };
  gallery.querySelector(".close").addEventListener("click", close);
  gallery.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
})();
