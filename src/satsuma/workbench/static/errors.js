// Errors: a cell of the matrix opens its samples in place; heat maps over all of them; arrows in the matrix.
import { get, tell, texts } from "./base.js";

const { base } = JSON.parse(document.getElementById("facts").textContent);
const words = texts();
const matrix = document.getElementById("matrix");
const MOST_TRIES = 60, PAUSE_MS = 2000; // for a heat map
let heat = false;
let newest = 0;

/** Show the samples of another address without leaving the page. */
async function swap(address, { push = true, focus = true } = {}) {
  const mine = ++newest;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const other = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = other.getElementById("samples");
    if (!found) return location.assign(address);
    if (mine !== newest) return;
    document.getElementById("samples").replaceWith(found);
    if (push) history.pushState(null, "", address);
    markCell();
    warm();
    if (!focus) return;
    found.focus({ preventScroll: true });
    found.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" });
  } catch (error) {
    tell(error.message, "bad");
  }
}

function markCell() {
  const query = new URLSearchParams(location.search);
  const cell = query.has("true") ? `${query.get("true")}-${query.get("said")}` : "";
  for (const link of document.querySelectorAll("[data-cell]")) {
    if (link.dataset.cell === cell) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const button = event.target.closest("#heat");
  if (button) { heat = !heat; return warm(); }
  const link = event.target.closest("a[data-cell], a[data-swap], #samples .pager a");
  if (!link) return;
  event.preventDefault();
  swap(link.getAttribute("href"));
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "label") return;
  swap(`${base}/errors?${new URLSearchParams(new FormData(event.target.form))}`, { focus: false })
    .then(() => document.getElementById("label")?.focus());
});
addEventListener("popstate", () => swap(location.href, { push: false, focus: false }));

/** The samples' pictures with the heat map over them, or without. */
function warm() {
  const button = document.getElementById("heat");
  button?.setAttribute("aria-pressed", String(heat));
  for (const link of document.querySelectorAll("#samples [data-half][data-i]")) {
    const image = link.querySelector("img");
    if (!image) continue;
    image.dataset.plain ??= image.srcset;
    if (heat) {
      image.removeAttribute("srcset");
      warmOne(image, `${base}/heat/${link.dataset.half}/${link.dataset.i}`);
    } else { image.onerror = null; image.srcset = image.dataset.plain; image.src = `${base}/picture/${link.dataset.half}/${link.dataset.i}?side=128`; }
  }
}

/** One heat map; the server answers that it is still busy with something else by what is no picture. */
function warmOne(image, address, tries = 0) {
  image.onerror = () => {
    if (tries < MOST_TRIES) setTimeout(() => heat && warmOne(image, address, tries + 1), PAUSE_MS);
  };
  image.src = tries ? `${address}?again=${tries}` : address;
}

matrix?.addEventListener("keydown", (event) => {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  const rows = [...matrix.tBodies[0].rows];
  let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
  for (;;) {
    row += step[0];
    column += step[1];
    const next = rows[row]?.cells[column];
    if (!next || column < 1) break;
    const link = next.querySelector("a");
    if (link) { link.focus(); break; }
  }
  event.preventDefault();
});

const figure = document.getElementById("figure");
figure?.addEventListener("toggle", async () => {
  const place = figure.querySelector(".drawn");
  if (!figure.open || place.childElementCount) return;
  place.textContent = words.errors_script_drawing;
  try {
    place.innerHTML = (await get(figure.dataset.address)).svg;
  } catch (error) {
    place.textContent = error.message;
  }
});
