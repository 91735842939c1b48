// The table of runs: sorts, searches, holds what is to be compared, and follows the runs that train.

import { get, tell, texts } from "./base.js";

const words = texts();
const EACH_MS = 2000;
const RESTING_MS = 6000;
const table = document.getElementById("runs");
const body = table?.tBodies[0];
const chosen = () => [...table.querySelectorAll("input:checked")];

// --- sorting ----------------------------------------------------------------------------------------------------

function sortBy(column, direction) {
  const rows = [...body.rows];
  const value = (row) => row.cells[column].dataset.by;
  const numbers = rows.every((row) => value(row) === "" || !Number.isNaN(Number(value(row))));
  rows.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === "" || other === "") return (one === "") - (other === ""); // what has no value comes last
    const order = numbers ? Number(one) - Number(other) : one.localeCompare(other, undefined, { numeric: true });
    return direction === "ascending" ? order : -order;
  });
  body.append(...rows);
}

function sorting(head) {
  head.querySelector("button").addEventListener("click", () => {
    const first = head.classList.contains("number") || head.cellIndex === table.tHead.rows[0].cells.length - 1;
    const now = head.getAttribute("aria-sort");
    const other = now === "ascending" ? "descending" : "ascending";
    const direction = now === "none" ? (first ? "descending" : "ascending") : other;
    for (const th of table.tHead.querySelectorAll("th")) th.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction);
    sortBy(head.cellIndex, direction);
  });
}

// --- comparing --------------------------------------------------------------------------------------------------

function mayCompare() {
  const count = chosen().length;
  document.getElementById("go").disabled = count < 2 || count > words.most;
}

// --- searching --------------------------------------------------------------------------------------------------

function search(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of body.rows) {
    const held = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => held.includes(word)) && !row.querySelector("input").checked;
  }
  document.getElementById("found").textContent = String([...body.rows].filter((row) => !row.hidden).length);
}

// --- following --------------------------------------------------------------------------------------------------

let timer = 0;
let lost = false;

async function follow() {
  clearTimeout(timer);
  if (document.hidden) return;
  let trains = false;
  try {
    const found = await get("/runs/now");
    trains = found.runs.some((run) => run.state === "trains");
    for (const run of found.runs) update(run, found.names.length);
    const known = new Set([...body.rows].map((row) => row.dataset.name));
    document.getElementById("new").hidden = found.runs.every((run) => known.has(run.name)) && sameNames(found.names);
    lost = false;
  } catch {
    if (!lost) tell(words.run_lost, "bad");
    lost = true;
  }
  timer = setTimeout(follow, trains ? EACH_MS : RESTING_MS);
}

const sameNames = (names) => table.tHead.rows[0].cells.length === names.length + 6;

function update(run, count) {
  const row = [...body.rows].find((other) => other.dataset.name === run.name);
  if (!row || row.cells.length !== count + 6) return;
  const state = row.querySelector(".state");
  state.className = `state ${run.state}`;
  if (state.textContent !== run.state_text) state.textContent = run.state_text;
  state.parentElement.dataset.by = run.state;
  const rest = [null, [run.epochs, run.done], [run.time, run.time_s], [run.when, run.at]]; // the state stands first
  [...run.results, ...rest].forEach((found, i) => {
    if (!found) return;
    const [text, value] = found;
    const cell = row.cells[i + 2];
    if (cell.textContent !== text) cell.textContent = text;
    cell.dataset.by = value ?? "";
  });
}

if (table) {
  table.tHead.querySelectorAll("th").forEach(sorting);
  table.addEventListener("change", mayCompare);
  document.getElementById("search")?.addEventListener("input", (event) => search(event.target.value));
  document.addEventListener("visibilitychange", follow);
  mayCompare();
  timer = setTimeout(follow, EACH_MS);
}
