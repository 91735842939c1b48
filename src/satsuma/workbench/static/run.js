// A run's page: how it stands is asked for about each second while it trains, and never while nobody looks.

import { get, send, tell, texts } from "./base.js";
import { copyButtons } from "./copy.js";

const words = texts();
const base = words.base;
const EACH_MS = 1000;
const RESTING_MS = 5000; // of a run that does not train: it may go on
const FIGURE_MS = 2000;
const BATCH_MS = 3000;
let now = words.now;
let rows = -1;
let lost = false;
let timer = 0;

const place = (id) => document.getElementById(id);

function make(kind, text = "", settings = {}) {
  const element = Object.assign(document.createElement(kind), settings);
  element.textContent = text;
  return element;
}

// --- how it stands ----------------------------------------------------------------------------------------------

function show(found) {
  const trained = now.state === "trains";
  now = { ...now, ...found };
  place("state").textContent = now.state_text;
  place("state").className = `state ${now.state}`;
  place("live").hidden = !now.progress;
  if (now.progress) {
    place("progress").max = now.progress.max;
    place("progress").value = now.progress.value;
    setText("progress-text", now.progress.text);
  }
  showStop(now.stop);
  if (found.table) showTable(found.table);
  if (trained && now.state !== "trains") {
    tell(words.run_ended);
    setTimeout(() => location.reload(), 1500); // result, files and recipe are there now
  } else if (!trained && now.state === "trains") location.reload();
}

function setText(id, text) {
  if (place(id).textContent !== text) place(id).textContent = text; // or it would be read aloud again
}

function showStop(stop) {
  place("stopping").hidden = !stop;
  if (!stop) return;
  const focused = [place("stop"), place("go-on")].includes(document.activeElement);
  place("stop").hidden = stop.asked;
  place("go-on").hidden = !stop.asked;
  setText("stop-text", stop.text);
  if (focused) place(stop.asked ? "go-on" : "stop").focus();
}

function showTable({ names, rows: lines, kept }) {
  const titles = [words.run_epoch, ...names.map((name) => words.named[name] ?? name), words.run_time, words.run_images_s];
  const head = make("tr");
  head.append(...titles.map((title) => make("th", title, { scope: "col", className: "number" })));
  const body = lines.map((cells, i) => {
    const row = make("tr", "", { className: i === kept ? "kept" : "" });
    row.append(...cells.map((cell, j) => make(j ? "td" : "th", cell, { className: "number", ...(j ? {} : { scope: "row" }) })));
    if (i === kept && kept !== lines.length - 1) row.append(make("td", `← ${words.run_kept}`));
    return row;
  });
  place("epochs").tHead.replaceChildren(head);
  place("epochs").tBodies[0].replaceChildren(...body);
  place("epochs").hidden = !lines.length;
  place("no-epochs").hidden = lines.length > 0;
  if (rows >= 0 && lines.length > rows) {
    const cells = lines.at(-1);
    const results = names.map((name, i) => `${words.named[name] ?? name} ${cells[i + 1]}`).join(", ");
    place("announced").textContent = words.run_epoch_ended.replace("{epoch}", cells[0]).replace("{results}", results);
  }
  rows = lines.length;
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    show(await get(`${base}/now?epochs=${rows}`));
    lost = false;
    figures();
    if (now.state === "trains") batch();
  } catch {
    if (!lost) tell(words.run_lost, "bad");
    lost = true;
  }
  timer = setTimeout(ask, lost || now.state !== "trains" ? RESTING_MS : EACH_MS);
}

document.addEventListener("visibilitychange", ask);

for (const [id, path] of [["stop", "stop"], ["go-on", "go-on"]]) {
  place(id).addEventListener("click", async () => {
    try {
      showStop((await send(`${base}/${path}`)).stop);
    } catch (error) {
      tell(error.message, "bad");
    }
  });
}

// --- curves -----------------------------------------------------------------------------------------------------

const drawn = new Map(); // kind → { version, at, asked }

async function figures() {
  for (const holder of document.querySelectorAll(".figure-of")) {
    const kind = holder.dataset.kind;
    const known = drawn.get(kind) ?? { version: "", at: 0 };
    if (known.asked || known.version === now.versions[kind] || Date.now() - known.at < FIGURE_MS) continue;
    drawn.set(kind, { ...known, asked: true });
    try {
      const answer = await fetch(`${base}/figure/${kind}`);
      if (!answer.ok) throw new Error(answer.statusText);
      holder.innerHTML = await answer.text(); // drawn by the server; names in it are text
      drawn.set(kind, { version: answer.headers.get("X-Version"), at: Date.now() });
    } catch {
      drawn.set(kind, { ...known, at: Date.now() });
    }
  }
  place("no-curves").hidden = [...document.querySelectorAll(".figure-of")].some((holder) => holder.childElementCount);
}

// --- the batch --------------------------------------------------------------------------------------------------

let batchAt = 0;
let batchShown = "";

async function batch() {
  if (Date.now() - batchAt < BATCH_MS) return;
  batchAt = Infinity; // until it has come
  try {
    const found = await get(`${base}/batch`);
    place("batch").hidden = !found.pictures.length;
    if (found.refused) return; // it stays so
    if (found.pictures.length && found.place !== batchShown) {
      batchShown = found.place;
      place("batch-text").textContent = found.text;
      showPictures(found.pictures);
    }
    batchAt = Date.now();
  } catch {
    batchAt = Date.now();
  }
}

function showPictures(pictures) {
  const list = place("batch-pictures");
  for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  list.replaceChildren(
    ...pictures.map(({ jpeg, label }) => {
      const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
      const item = make("li");
      item.append(make("img", "", { src: URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })), alt: "" }));
      item.append(make("span", label));
      return item;
    }),
  );
}

// --- scripts ----------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-depth]")) {
  button.addEventListener("click", () => peel(button));
}

async function peel(button) {
  for (const other of document.querySelectorAll("[data-depth]")) other.setAttribute("aria-pressed", other === button);
  const told = place("script-told");
  told.className = "faint";
  told.textContent = words.wait_peel;
  place("script-code").hidden = true;
  const isStill = () => button.getAttribute("aria-pressed") === "true";
  try {
    const found = await get(`${base}/peel/${button.dataset.depth}`);
    if (!isStill()) return;
    if (found.refused) throw new Error(found.refused);
    told.textContent = [words.run_peel_made.replace("{lines}", found.lines), found.note].filter(Boolean).join(". ");
    place("script").firstElementChild.textContent = found.text;
    place("script-code").hidden = false;
  } catch (error) {
    if (!isStill()) return;
    told.className = "told-bad";
    told.textContent = `${words.run_peel_refused} ${error.message}`;
  }
}

copyButtons(words);
showTable(now.table);
ask();
