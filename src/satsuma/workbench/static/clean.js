// Clean: move over samples by arrows, edit them by single keys; each edit goes to the journal at once.
import { get, send, tell, texts } from "./base.js";
import { view } from "./viewer.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
const words = texts();
const at = (id) => document.getElementById(id);
const list = at("samples");
const tools = at("tools");
const find = at("find");
const choices = at("classes");
const DIGITS = "1234567890";
const LETTERS = "qwetyiopasdfghjkzcvbn"; // without x u r m l, which do other things
const MOST_CHOICES = 60;
const SIZE = 48;
const LOOK_MS = 3000;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const half = (number) => words[number === 0 ? "half_train" : "half_valid"];
const picture = (item, side) => `${facts.base}/picture/${item.half}/${item.i}?side=${side}`;
const keyOf = new Map(); // class -> its key
const classOf = new Map();
let items = []; // of this page
let total = 0;
let page = 0;
let current = 0; // place in `items`
let chosen = new Set(); // numbers of the samples that the next edit is for, beside the current one
let anchor = 0;
let edits = { rows: [], count: 0, last: 0 };
let asked = 0; // of the newest request for a page
let chain = Promise.resolve(); // edits go one after another

// --- keys for classes ---------------------------------------------------------------------------------------------

function giveKeys() {
  if (!["category", "multi"].includes(facts.kind)) return;
  const bind = (name, key) => { keyOf.set(name, key); classOf.set(key, name); };
  const own = facts.classes.filter((name) => /^\d$/.test(name)); // the class 7 is the key 7
  own.forEach((name) => bind(name, name));
  const free = [...(own.length ? "" : DIGITS), ...LETTERS];
  facts.classes.filter((name) => !keyOf.has(name)).slice(0, free.length).forEach((name, k) => bind(name, free[k]));
}

// --- a page of samples --------------------------------------------------------------------------------------------

function settings() {
  const form = new FormData(tools);
  return { half: form.get("half") ?? "", label: form.get("label") ?? "", order: form.get("order") };
}

function address(extra = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...settings(), page, ...extra })) if (value !== "") query.set(name, value);
  return query;
}

async function load(focus = 0, focusNumber = null, quiet = false, query = address({ size: SIZE })) {
  const mine = ++asked;
  const slow = setTimeout(() => {
    if (mine !== asked) return;
    at("waiting").textContent = words[settings().order === "suggested" ? "wait_faults" : settings().order === "name" ? "waiting" : "wait_predictions"];
    at("waiting").hidden = false;
  }, 300);
  list.setAttribute("aria-busy", "true");
  try {
    const found = await get(`${facts.base}/clean/items?${query}`);
    if (mine !== asked) return;
    if (found.items.length === 0 && page > 0 && found.total > 0) {
      page = Math.floor((found.total - 1) / SIZE);
      return await load(focus, focusNumber, quiet);
    }
    ({ items, total, page } = found);
    if (!quiet) chosen = new Set();
    const wanted = focusNumber === null ? -1 : items.findIndex((item) => item.number === focusNumber);
    current = Math.max(0, Math.min(wanted >= 0 ? wanted : focus < 0 ? items.length - 1 : focus, items.length - 1));
    anchor = current;
    draw();
    show(found.edits);
    remember();
  } catch (error) {
    if (mine === asked) tell(error.message, "bad");
  } finally {
    clearTimeout(slow);
    if (mine === asked) {
      at("waiting").hidden = true;
      list.removeAttribute("aria-busy");
    }
  }
}

function remember() {
  history.replaceState(null, "", `?${address(items.length ? { at: items[current].number } : {})}`);
}

function draw() {
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...items.map(tile));
  at("nothing").hidden = items.length > 0;
  list.hidden = items.length === 0;
  const first = page * SIZE;
  at("where").textContent = total
    ? fill(words.clean_where, { from: (first + 1).toLocaleString(), to: (first + items.length).toLocaleString(), all: total.toLocaleString() })
    : "";
  at("earlier").disabled = page === 0;
  at("later").disabled = first + items.length >= total;
  mark();
  if (focused && items.length) list.children[current].focus();
}

function tile(item, place) {
  const box = document.createElement("li");
  box.className = "tile";
  box.id = `s${item.number}`;
  box.setAttribute("role", "option");
  const shot = element("span", "shot");
  if (facts.pictures) {
    const image = new Image();
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = "";
    image.srcset = `${picture(item, 128)} 1x, ${picture(item, 256)} 2x`;
    image.src = picture(item, 128);
    shot.append(image);
  } else shot.append(element("span", "row-text", item.text ?? item.name));
  box.append(shot, element("span", "line label"), element("span", "line sub"), element("span", "badges"));
  box.addEventListener("click", (event) => {
    go(place, event.shiftKey ? "stretch" : event.ctrlKey || event.metaKey ? "toggle" : "");
    list.children[place].focus();
  });
  box.addEventListener("dblclick", () => large(place));
  dress(box, item);
  return box;
}

/** The whole picture, with its neighbours by arrows. */
function large(place) {
  if (!facts.pictures || !items[place]) return;
  const follow = () => go([...list.children].indexOf(document.activeElement));
  view([...list.children], place).addEventListener("close", follow, { once: true });
}

/** What an item's tile says of its label, the model and its edits. */
function dress(box, item) {
  const change = item.change;
  box.classList.toggle("changed", Boolean(change));
  box.classList.toggle("excluded", Boolean(change?.excluded));
  box.classList.toggle("wrong", Boolean(item.wrong));
  const [, label, sub, badges] = box.children;
  label.replaceChildren(...labelParts(item));
  sub.textContent = item.said === undefined ? (facts.pictures ? item.name.split("/").at(-1) : "") : fill(words.clean_says_short, { said: saidShort(item) });
  badges.replaceChildren();
  if (change?.excluded) badges.append(element("span", "badge", words.clean_left_out));
  if (typeof change?.half === "number") badges.append(element("span", "badge", `→ ${half(change.half)}`));
  if (item.hint) badges.append(element("span", "badge", `${item.hint}?`));
  box.setAttribute("aria-label", spoken(item));
  box.title = item.name;
  const told = item.said === undefined ? "" : fill(words.clean_says, { said: saidShort(item) });
  Object.assign(box.dataset, { half: item.half, i: item.i, number: item.number, name: item.name, caption: label.textContent, detail: told });
}

const named = (labels) => labels.join(", ") || words.clean_no_label;
const own = (item) => named(item.labels);
const saidShort = (item) => item.sure === undefined ? item.said : `${item.said} · ${percent(item.sure)}`;
const percent = (share) => `${share > 0.995 && share < 1 ? ">99" : Math.round(share * 100)}%`;

function labelParts(item) {
  if (!item.change?.labels) return [own(item)];
  return [element("s", "", own(item)), ` → ${named(item.change.labels)}`];
}

function spoken(item) {
  const parts = [fill(words.clean_spoken, { label: own(item), name: item.name })];
  if (item.said !== undefined) parts.push(fill(words.clean_says, { said: saidShort(item) }));
  if (item.change?.labels) parts.push(fill(words.clean_now, { label: named(item.change.labels) }));
  if (item.change?.excluded) parts.push(words.clean_left_out);
  if (typeof item.change?.half === "number") parts.push(`→ ${half(item.change.half)}`);
  if (item.hint) parts.push(fill(words.clean_hint, { label: item.hint }));
  return parts.join("; ");
}

function element(kind, style, text) {
  const made = document.createElement(kind);
  if (style) made.className = style;
  if (text !== undefined) made.textContent = text;
  return made;
}

// --- the current sample -------------------------------------------------------------------------------------------

function go(place, how = "") {
  if (!items.length) return;
  const to = Math.max(0, Math.min(place, items.length - 1));
  if (how === "stretch") {
    const [from, till] = [Math.min(anchor, to), Math.max(anchor, to)];
    chosen = new Set(items.slice(from, till + 1).map((item) => item.number));
  } else if (how === "toggle") {
    if (!chosen.size) chosen.add(items[current].number);
    if (!chosen.delete(items[to].number)) chosen.add(items[to].number);
  } else chosen = new Set();
  if (how !== "stretch") anchor = to;
  current = to;
  mark();
  remember();
}

function mark() {
  items.forEach((item, k) => {
    const box = list.children[k];
    box.tabIndex = k === current ? 0 : -1;
    box.setAttribute("aria-selected", String(chosen.size ? chosen.has(item.number) : k === current));
  });
  const item = items[current];
  at("now").hidden = !item;
  for (const button of document.querySelectorAll("[data-act=exclude], [data-act=move]")) button.disabled = !item;
  if (!item) return offer();
  if (facts.pictures) {
    const image = at("now-picture");
    const wanted = picture(item, 512);
    if (!image.src.endsWith(wanted)) image.src = wanted;
    image.alt = spoken(item);
  }
  at("now-label").replaceChildren(...(chosen.size > 1 ? [fill(words.clean_chosen, { n: chosen.size })] : labelParts(item)));
  at("now-said").textContent = item.said === undefined ? "" : fill(words.clean_says, { said: saidShort(item) }) + (item.loss === undefined ? "" : ` · ${fill(words.clean_loss, { loss: item.loss.toFixed(2) })}`);
  at("now-hint").hidden = !item.hint;
  at("now-hint").textContent = item.hint ? `${fill(words.clean_hint, { label: item.hint })} ${item.why ?? ""}` : "";
  at("now-name").textContent = `${item.name} · ${half(item.half)}`;
  document.querySelector("[data-act=exclude] span").textContent = item.change?.excluded ? words.clean_include : words.clean_exclude;
  const there = item.change?.half ?? item.half;
  document.querySelector("[data-act=move] span").textContent = fill(words.clean_move_to, { half: half(1 - there) });
  offer();
}

const samples = () => (chosen.size ? items.filter((item) => chosen.has(item.number)) : items.slice(current, current + 1));

function columns() {
  const tops = [...list.children].map((box) => box.offsetTop);
  const next = tops.findIndex((top) => top > tops[0]);
  return next < 0 ? tops.length : next;
}

async function step(by, stretch) {
  const to = current + by;
  const across = Math.abs(by) === 1;
  if (to >= items.length && (across || Math.floor(current / columns()) === Math.floor((items.length - 1) / columns()))) {
    if ((page + 1) * SIZE < total) return turn(1, across ? 0 : current % columns());
  } else if (to < 0 && page > 0) return turn(-1, -1);
  go(Math.max(0, Math.min(to, items.length - 1)), stretch ? "stretch" : "");
  list.children[current]?.focus();
  list.children[current]?.scrollIntoView({ block: "nearest" });
}

async function turn(by, focus = 0) {
  if (page + by < 0 || (page + by) * SIZE >= total) return;
  page += by;
  const held = list.contains(document.activeElement) || document.activeElement === document.body;
  await load(focus);
  if (held) list.children[current]?.focus();
  list.children[current]?.scrollIntoView({ block: "nearest" });
}

// --- classes to choose from ---------------------------------------------------------------------------------------

const narrow = matchMedia("(max-width: 56rem)"); // classes are in one line there, what the model says first
let active = -1; // place of the choice that Enter takes

function offer() {
  if (!facts.kind.match(/category|multi/)) return;
  const typed = find.value.trim();
  const wanted = typed.toLocaleLowerCase();
  const fits = facts.classes.filter((name) => name.toLocaleLowerCase().includes(wanted));
  fits.sort((a, b) => (b.toLocaleLowerCase().startsWith(wanted) && wanted !== "") - (a.toLocaleLowerCase().startsWith(wanted) && wanted !== ""));
  const item = items[current];
  if (item?.said && !typed && narrow.matches) fits.sort((a, b) => (b === item.said) - (a === item.said));
  const now = item ? item.change?.labels ?? item.labels : [];
  const made = fits.slice(0, MOST_CHOICES).map((name) => {
    const box = element("li");
    box.dataset.name = name;
    box.setAttribute("aria-selected", String(now.includes(name)));
    if (keyOf.has(name)) box.append(element("kbd", "", keyOf.get(name)));
    box.append(element("span", "", name));
    box.title = name;
    return box;
  });
  if (typed && !facts.classes.includes(typed)) {
    const box = element("li", "new", fill(words.clean_new, { label: typed }));
    box.dataset.name = typed;
    box.setAttribute("aria-selected", "false");
    made.push(box);
  }
  made.forEach((box, k) => { box.setAttribute("role", "option"); box.id = `c${k}`; });
  choices.replaceChildren(...made);
  active = typed && fits.length ? 0 : -1; // a new class is made on purpose only: arrow, then Enter
  markActive();
}

function markActive() {
  [...choices.children].forEach((box, k) => box.classList.toggle("active", k === active));
  if (active >= 0) find.setAttribute("aria-activedescendant", `c${active}`);
  else find.removeAttribute("aria-activedescendant");
  choices.children[active]?.scrollIntoView({ block: "nearest" });
}

function give(name) {
  const chosenOnes = samples();
  if (!chosenOnes.length) return;
  if (facts.kind !== "multi") return act("relabel", { labels: [name] });
  const item = items[current];
  const now = item.change?.labels ?? item.labels;
  const labels = now.includes(name) ? now.filter((one) => one !== name) : [...now, name];
  return act("relabel", { labels });
}

// --- edits --------------------------------------------------------------------------------------------------------

function act(action, more = {}) {
  const those = samples();
  if (!those.length) return chain;
  if (action === "exclude" && those.every((item) => item.change?.excluded)) action = "include";
  const body = { action, samples: those.map((item) => [item.half, item.i]), ...more };
  return queue(async () => {
    const answer = await send(`${facts.base}/clean/edit`, body);
    take(answer);
    const name = those.length > 1 ? fill(words.clean_chosen, { n: those.length }) : those[0].name;
    const told = { relabel: words.told_relabel, exclude: words.told_exclude, include: words.told_include, move: words.told_move }[action];
    const there = those[0].change?.half ?? those[0].half;
    say(fill(told, { name, label: named(more.labels ?? []), half: half(there) }));
  });
}

function back(action, of = null) {
  return queue(async () => {
    const answer = await send(`${facts.base}/clean/${action}`, { of });
    take(answer);
    if (!answer.any) return say(words[action === "undo" ? "told_no_undo" : "told_no_redo"]);
    const number = answer.changed[0]?.number;
    const place = items.findIndex((item) => item.number === number);
    if (place >= 0 && of === null) {
      go(place);
      if (list.contains(document.activeElement) || document.activeElement === document.body) list.children[place].focus();
    }
    say(words[action === "undo" ? "told_undo" : "told_redo"]);
  });
}

/** One edit after another, in the order of the keys. */
function queue(work) {
  chain = chain.then(work).catch((error) => tell(error.message, "bad"));
  return chain;
}

let silence = 0;
function say(text) {
  tell(text);
  clearTimeout(silence);
  silence = setTimeout(() => tell(""), 4000);
}

function take(answer) {
  for (const { number, change } of answer.changed) {
    const place = items.findIndex((item) => item.number === number);
    if (place < 0) continue;
    items[place].change = change;
    dress(list.children[place], items[place]);
  }
  show(answer.edits);
  mark();
}

function show(found) {
  edits = found;
  at("count").textContent = fill(words[found.count === 1 ? "clean_count_one" : "clean_count"], { n: found.count.toLocaleString() });
  at("again").disabled = found.count === 0 || !at("copy");
  document.querySelector("[data-act=undo]").disabled = found.undo === null;
  document.querySelector("[data-act=redo]").disabled = found.redo === null;
  at("no-edits").hidden = found.rows.length > 0;
  at("edits").replaceChildren(...found.rows.map(editRow));
}

function editRow(row) {
  const box = element("li", row.in_force ? "" : "off");
  if (facts.pictures && row.number >= 0) {
    const image = new Image();
    image.loading = "lazy";
    image.alt = "";
    image.src = picture(row, 64);
    box.append(image);
  } else box.append(element("span"));
  const what = element("span", "what");
  const done = {
    relabel: `${row.from ?? "?"} → ${row.to}`,
    exclude: words.clean_left_out,
    move: `→ ${words[`half_${row.to}`]}`,
  }[row.action];
  what.append(element("span", "", done), element("span", "faint", row.key));
  what.title = [row.key, row.who, new Date(row.when).toLocaleString()].join(" · ");
  const button = element("button", "", words[row.in_force ? "clean_undo" : "clean_redo"]);
  button.type = "button";
  button.setAttribute("aria-label", `${button.textContent}: ${done}, ${row.key}`);
  button.addEventListener("click", () => back(row.in_force ? "undo" : "redo", row.id));
  box.append(what, button);
  return box;
}

/** What another tab did meanwhile. */
async function look() {
  if (document.hidden) return;
  try {
    const found = await get(`${facts.base}/clean/edits?since=${edits.last}`);
    if (found.rows && found.last !== edits.last) await load(current, items[current]?.number ?? null, true);
  } catch { /* the server is gone; the next edit says so */ }
}

// --- keys and buttons ---------------------------------------------------------------------------------------------

const ACTS = { x: () => act("exclude"), Delete: () => act("exclude"), m: () => act("move"), u: () => back("undo"), r: () => back("redo") };
const STEPS = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: columns, ArrowUp: () => -columns() };

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const inGrid = list.contains(target) || target === document.body || target.id === "main";
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  let done = true;
  if (inGrid && STEPS[key]) step(STEPS[key](), event.shiftKey);
  else if (inGrid && key === "PageDown") turn(1);
  else if (inGrid && key === "PageUp") turn(-1);
  else if (inGrid && (key === "Home" || key === "End")) step(key === "Home" ? -current : items.length - 1 - current, event.shiftKey);
  else if (inGrid && key === "Enter") large(current);
  else if (key === "Escape") go(current);
  else if ((key === "/" || key === "l") && find) find.focus();
  else if (ACTS[key]) ACTS[key]();
  else if (classOf.has(key)) give(classOf.get(key));
  else done = false;
  if (done) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-act]"))
  button.addEventListener("click", () => ACTS[{ exclude: "x", move: "m", undo: "u", redo: "r" }[button.dataset.act]]());

find?.addEventListener("input", offer);
find?.addEventListener("keydown", (event) => {
  const many = choices.children.length;
  if (event.key === "Escape") leaveFind();
  else if (event.key === "Enter") {
    const typed = find.value.trim();
    const name = facts.kind === "regression" ? typed : choices.children[active]?.dataset.name;
    if (typed && name) { give(name); leaveFind(); }
    else if (typed) say(fill(words.clean_new_hint, { label: typed }));
  } else if (event.key === "ArrowDown" && many) { active = (active + 1) % many; markActive(); }
  else if (event.key === "ArrowUp" && many) { active = (active - 1 + many) % many; markActive(); }
  else return;
  event.preventDefault();
});
choices?.addEventListener("click", (event) => {
  const box = event.target.closest("[data-name]");
  if (box) { give(box.dataset.name); find.value = ""; offer(); }
});

function leaveFind() {
  find.value = "";
  offer();
  list.children[current]?.focus();
}

tools.addEventListener("change", () => { page = 0; load(); });
tools.addEventListener("submit", (event) => event.preventDefault());
at("earlier").addEventListener("click", () => turn(-1));
at("later").addEventListener("click", () => turn(1));
document.addEventListener("visibilitychange", look);
setInterval(look, LOOK_MS);

// --- train again --------------------------------------------------------------------------------------------------

at("copy")?.addEventListener("click", async (event) => {
  await navigator.clipboard.writeText(event.currentTarget.dataset.line);
  say(words.clean_copied);
});
at("again").addEventListener("click", async () => {
  at("again").disabled = true;
  try {
    await chain;
    await follow(await send(`${facts.base}/again`));
  } catch (error) {
    tell(error.message, "bad");
  }
  at("again").disabled = edits.count === 0;
});

/** Watch the training until its page has something to show, then go there. */
async function follow(state) {
  at("training").hidden = false;
  for (;;) {
    at("training-said").textContent = state.said;
    at("training-said").hidden = !state.said;
    at("training-state").textContent = words[`again_${state.state}`];
    if (state.address) return location.assign(state.address);
    if (state.state !== "runs") return;
    await new Promise((later) => setTimeout(later, 500));
    state = await get(`${facts.base}/again`);
  }
}

// --- begin --------------------------------------------------------------------------------------------------------

giveKeys();
get(`${facts.base}/clean/edits`).then(show).catch((error) => tell(error.message, "bad")); // there before the samples are
const given = new URLSearchParams(location.search);
for (const name of ["half", "label", "order"]) {
  const field = tools.elements[name];
  if (field && given.has(name) && [...field.options].some((option) => option.value === given.get(name))) field.value = given.get(name);
}
page = Math.max(0, Number.parseInt(given.get("page") ?? "0", 10) || 0);
const wantedNumber = given.has("at") ? Number(given.get("at")) : null;
const first = address({ size: SIZE, page: given.get("page") ?? "", at: given.get("at") ?? "" });
load(0, wantedNumber, false, first).then(() => {
  if (document.activeElement === document.body) list.children[current]?.focus({ preventScroll: true });
});
