// Try: give the model an image, a row of numbers or a sample, and see what it says. One item after the other.
import { texts, tell } from "./base.js";

const place = document.getElementById("try");
const { name, kind, half, language } = place.dataset;
const total = Number(place.dataset.total), mostBytes = Number(place.dataset.mostBytes);
const words = texts();
const results = document.getElementById("results"), busy = document.getElementById("busy");
const heard = document.getElementById("heard");
const KEPT = 20, PAUSE = 700;
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
let waiting = Promise.resolve(), left = 0;

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** POST a body; asks again while the server is still making what it needs. Throws an Error with the server's words. */
async function ask(what, body, type) {
  for (;;) {
    const answer = await fetch(`/open/${name}/try/${what}`, {
      method: "POST", headers: { "Content-Type": type, Accept: "application/json" }, body,
    });
    if (answer.status !== 202) {
      const value = await answer.json().catch(() => ({ error: answer.status === 413 ? filled(words.upload_bytes, { most: mostBytes / 2 ** 20 }) : words.try_no_answer }));
      if (!answer.ok) throw new Error(value.error ?? words.try_no_answer);
      return value;
    }
    await new Promise((later) => setTimeout(later, PAUSE));
  }
}

const asJson = (what, value) => ask(what, JSON.stringify(value), "application/json");

/** Items wait for each other, so that answers come in the order in which they were given. */
function queue(title, work) {
  left += 1;
  showBusy();
  waiting = waiting.then(async () => {
    try {
      show(title, await work());
    } catch (error) {
      showTrouble(title, error instanceof TypeError ? words.try_no_answer : error.message);
    }
    left -= 1;
    showBusy();
  });
}

function showBusy() {
  busy.textContent = left ? filled(words.try_busy, { count: left }) : "";
}

function tryFiles(files) {
  for (const file of files) {
    queue(file.name || words.try_pasted, () => {
      if (file.size > mostBytes) throw new Error(filled(words.upload_bytes, { most: mostBytes / 2 ** 20 }));
      return ask("image", file, "application/octet-stream");
    });
  }
}

function add(card) {
  results.prepend(card);
  while (results.children.length > KEPT) {
    for (const image of results.lastElementChild.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    results.lastElementChild.remove();
  }
}

function showTrouble(title, message) {
  const card = made("article", "result bad");
  card.append(made("h2", "", message), made("p", "source", title));
  add(card);
  heard.textContent = message;
}

function show(title, answer) {
  const card = made("article", answer.picture ? "result" : "result plain");
  if (answer.picture) card.append(pictureOf(answer));
  const said = made("div");
  said.append(made("h2", "", answer.words));
  const facts = [answer.name ?? title, answer.size, answer.label ? filled(words.try_labelled, { label: answer.label }) : "", filled(words.try_time, { ms: answer.ms }), answer.note];
  said.append(made("p", "source", facts.filter(Boolean).join(" · ")));
  if (answer.bars.length) said.append(barsOf(answer));
  if (answer.others.count) said.append(made("p", "faint", othersOf(answer)));
  card.append(said);
  add(card);
  heard.textContent = answer.words;
  if (answer.features) nearest(answer.features, said);
}

function othersOf(answer) {
  if (answer.kind === "multi") return filled(words.try_more_labels, { count: answer.others.count });
  return filled(words.try_others, { count: answer.others.count, share: percent.format(answer.others.share) });
}

function pictureOf(answer) {
  const figure = made("figure");
  const plain = imageOf(answer.picture, words.try_seen);
  figure.append(plain);
  if (!answer.heat) {
    figure.append(made("figcaption", "", `${words.try_seen} ${words.try_no_heat}`));
    return figure;
  }
  const hot = imageOf(answer.heat, words.try_heat_alt);
  const switched = made("label"), box = made("input");
  box.type = "checkbox";
  box.checked = true;
  plain.hidden = true;
  box.addEventListener("change", () => {
    plain.hidden = box.checked;
    hot.hidden = !box.checked;
  });
  switched.append(box, words.try_heat);
  figure.append(hot, switched, made("figcaption", "", words.try_heat_help));
  return figure;
}

function imageOf(base64, words) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = made("img");
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  image.alt = words;
  return image;
}

function barsOf(answer) {
  const list = made("ol", "bars");
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", words.try_probabilities);
  for (const bar of answer.bars) {
    const item = made("li"), track = made("span", "track"), fill = made("span", "fill");
    fill.style.width = `${100 * bar.share}%`;
    track.setAttribute("aria-hidden", "true");
    track.append(fill);
    const label = made("span", bar.decided ? "name decided" : "name", bar.decided ? `→ ${bar.label}` : bar.label);
    item.append(label, track, made("span", "share", percent.format(bar.share)));
    list.append(item);
  }
  return list;
}

async function nearest(features, said) {
  const heading = made("h3", "", words.try_nearest), state = made("p", "faint", words.try_nearest_wait);
  said.append(heading, state);
  try {
    const { nearest: found } = await asJson("nearest", { features });
    state.remove();
    if (!found.length) return heading.remove();
    const list = made("ul", "near");
    for (const near of found) {
      const item = made("li");
      if (kind === "image") {
        const image = made("img");
        image.src = `/open/${name}/picture/0/${near.place}?side=128`;
        image.alt = near.name;
        image.loading = "lazy";
        item.append(image);
      }
      item.title = near.name;
      item.append(made("span", "", near.label), made("span", "faint", filled(words.try_alike, { share: near.alike.toFixed(2) })));
      if (kind !== "image") item.append(made("span", "faint", near.name));
      list.append(item);
    }
    said.append(list);
  } catch (error) {
    state.textContent = error.message;
  }
}

if (kind === "image") {
  const zone = document.querySelector(".drop"), files = document.getElementById("files");
  files.addEventListener("change", () => {
    tryFiles(files.files);
    files.value = "";
  });
  for (const kindOfDrag of ["dragenter", "dragover"]) {
    document.addEventListener(kindOfDrag, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) tryFiles(event.dataTransfer.files);
    else tell(words.try_no_file, "bad");
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) tryFiles(event.clipboardData.files);
    else tell(words.try_no_file, "bad");
  });
}

if (kind === "row") {
  const row = document.getElementById("row");
  document.getElementById("row-form").addEventListener("submit", (event) => {
    event.preventDefault();
    queue(words.try_typed, () => asJson("row", { text: row.value }));
  });
}

const form = document.getElementById("sample-form");
if (form) {
  const number = document.getElementById("place");
  const look = () => {
    const at = Number(number.value);
    queue(filled(words.try_sample_number, { number: at }), async () => {
      const answer = await asJson("sample", { half: Number(half), place: at - 1 });
      const row = document.getElementById("row");
      if (row && answer.text) row.value = answer.text;
      return answer;
    });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  document.getElementById("random").addEventListener("click", () => {
    number.value = 1 + Math.floor(Math.random() * total);
    look();
  });
}
