// A sample large, with its neighbours by arrows, and where the model looked. For all elements with data-half and data-i.
import { tell, texts } from "./base.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
const words = texts();
let shown = [];
let place = 0;
let heat = false;
let dialog = null;

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-half][data-i]:not([role=option])");
  if (!opener || !facts.pictures || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("button")) return;
  event.preventDefault();
  const all = [...document.querySelectorAll("[data-half][data-i]")];
  view(all, all.indexOf(opener));
});

/** Show the samples of these elements, beginning at one of them; gives the dialog. */
export function view(elements, at) {
  shown = elements;
  dialog ??= build();
  if (!dialog.open) dialog.showModal();
  show(at);
  return dialog;
}

function build() {
  const made = document.createElement("dialog");
  made.className = "viewer";
  made.setAttribute("aria-labelledby", "view-title");
  made.innerHTML = `<div class="head"><div><h2 id="view-title"></h2><p class="detail"></p><p class="faint name"></p></div>
    <button type="button" class="close"></button></div>
    <div class="stage"><img></div>
    <div class="row"><button type="button" class="before"></button><button type="button" class="after"></button>
    <button type="button" class="heat" aria-pressed="false"></button><a class="button edit"></a></div>`;
  const part = (name) => made.querySelector(`.${name}`);
  const label = (name, text) => { part(name).textContent = text; };
  label("close", words.view_close);
  label("before", `← ${words.view_earlier}`);
  label("after", `${words.view_later} →`);
  label("heat", words.view_heat);
  label("edit", words.view_clean);
  part("heat").hidden = !facts.heat;
  part("edit").hidden = Boolean(facts.clean);
  part("close").addEventListener("click", () => made.close());
  part("before").addEventListener("click", () => show(place - 1));
  part("after").addEventListener("click", () => show(place + 1));
  part("heat").addEventListener("click", () => { heat = !heat; show(place); });
  made.addEventListener("click", (event) => { if (event.target === made) made.close(); });
  made.addEventListener("close", () => (shown[place]?.closest("a, button, [tabindex]") ?? document.body).focus());
  made.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(place + step);
    else if (event.key === "h" && facts.heat) { heat = !heat; show(place); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  part("stage").querySelector("img").addEventListener("error", () => { if (heat) tell(words.view_no_heat, "bad"); });
  document.body.append(made);
  return made;
}

function show(at) {
  place = Math.max(0, Math.min(at, shown.length - 1));
  const { half, i, name, caption, detail, number } = shown[place].dataset;
  const part = (style) => dialog.querySelector(`.${style}`);
  const image = part("stage").querySelector("img");
  image.src = heat ? `${facts.base}/heat/${half}/${i}` : `${facts.base}/picture/${half}/${i}?side=1024`;
  image.alt = caption;
  dialog.querySelector("h2").textContent = caption;
  part("detail").textContent = detail;
  part("name").textContent = `${name} · ${words[half === "0" ? "half_train" : "half_valid"]}`;
  part("edit").href = `${facts.base}/clean?at=${number}`;
  part("before").disabled = place === 0;
  part("after").disabled = place === shown.length - 1;
  part("heat").setAttribute("aria-pressed", String(heat));
}
