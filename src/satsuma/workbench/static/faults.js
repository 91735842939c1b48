// Faults: each row is mended by one key or one click; the edits go to the journal at once.
import { send, tell, texts } from "./base.js";

const { base } = JSON.parse(document.getElementById("facts").textContent);
const words = texts();
const table = document.getElementById("faults");
const rows = table ? [...table.tBodies[0].rows] : [];
const done = []; // what was done here, for undo: {row, undo}
let chain = Promise.resolve();

const sampleOf = (row, mark) => row.querySelector(`[data-mark="${mark}"]`);
const place = (sample) => [Number(sample.dataset.half), Number(sample.dataset.i)];

function act(row, what) {
  chain = chain.then(() => mend(row, what)).catch((error) => tell(error.message, "bad"));
}

async function mend(row, what) {
  const sample = sampleOf(row, what === "exclude-other" ? "b" : "a");
  if (what === "ignore") return ignore(row, !row.classList.contains("ignored"));
  if (!sample) return;
  if (what === "take") {
    if (!row.dataset.suggestion) return;
    const made = await edit({ action: "relabel", samples: [place(sample)], labels: [row.dataset.suggestion] });
    finish(row, sample, words.fault_done_take.replace("{label}", row.dataset.suggestion), made);
  } else {
    const made = await edit({ action: "exclude", samples: [place(sample)] });
    finish(row, sample, words.fault_done_exclude, made);
  }
}

const edit = (asked) => send(`${base}/clean/edit`, asked);

function finish(row, sample, text, { changed, edits }) {
  dress(sample, changed[0].change);
  row.classList.add("mended");
  row.querySelector(".done").textContent = text;
  done.push({ row, undo: async () => {
    const back = await send(`${base}/clean/undo`, { of: edits.rows[0].id });
    dress(sample, back.changed[0].change);
    row.classList.remove("mended");
    row.querySelector(".done").textContent = words.fault_done_undo;
  } });
  step(row, 1);
}

/** A sample as the edits leave it. */
function dress(sample, change) {
  const label = sample.querySelector(".label");
  label.dataset.own ??= label.querySelector("s")?.textContent ?? label.textContent.trim();
  sample.classList.toggle("changed", Boolean(change));
  sample.classList.toggle("excluded", Boolean(change?.excluded));
  if (!change?.labels) { label.textContent = label.dataset.own; return; }
  const before = document.createElement("s");
  before.textContent = label.dataset.own;
  label.replaceChildren(before, ` → ${change.labels.join(", ")}`);
}

async function ignore(row, ignored) {
  await send(`${base}/data/ignore`, { kind: row.dataset.kind, key: row.dataset.key, other: row.dataset.other, ignored });
  row.classList.toggle("ignored", ignored);
  row.querySelector("[data-act=ignore]").textContent = words[ignored ? "fault_done_again" : "fault_done_let"];
  row.querySelector(".done").textContent = ignored ? words.fault_done_ignore : "";
  if (!ignored) return;
  done.push({ row, undo: () => ignore(row, false) });
  step(row, 1);
}

function undo() {
  chain = chain.then(async () => {
    const last = done.pop();
    if (!last) return;
    await last.undo();
    focus(last.row);
  }).catch((error) => tell(error.message, "bad"));
}

function step(row, by) {
  const next = rows[rows.indexOf(row) + by];
  if (next && row.contains(document.activeElement)) focus(next);
}

function focus(row) {
  rows.forEach((one) => { one.tabIndex = one === row ? 0 : -1; });
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

table?.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button) act(button.closest("tr"), button.dataset.act);
});
const KEYS = { y: "take", x: "exclude", o: "exclude-other", i: "ignore", Delete: "exclude" };
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey || !rows.length) return;
  const row = event.target.closest("#faults tbody tr") ?? rows.find((one) => one.tabIndex === 0);
  const inTable = table.contains(event.target);
  if (event.key === "ArrowDown" && inTable) focus(rows[Math.min(rows.indexOf(row) + 1, rows.length - 1)]);
  else if (event.key === "ArrowUp" && inTable) focus(rows[Math.max(rows.indexOf(row) - 1, 0)]);
  else if (event.key === "u") undo();
  else if (KEYS[event.key]) { if (!inTable) focus(row); act(row, KEYS[event.key]); }
  else return;
  event.preventDefault();
});
