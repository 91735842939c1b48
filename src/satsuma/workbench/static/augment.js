// Augment: one image many ways; what is set on the right is seen on the left at once.
import { send, tell, texts } from "./base.js";

const { words, steps: own, forms } = texts();
const root = document.getElementById("augment"), address = `/open/${root.dataset.name}/augment`;
const place = document.getElementById("place"), what = document.getElementById("what");
const pictures = document.getElementById("pictures"), list = document.getElementById("steps");
const code = document.getElementById("code"), chooser = document.getElementById("add");
const total = Number(place.max), DEBOUNCE = 40;
let steps = structuredClone(own), first = 0, timer = 0, running = false, again = false;

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

const ends = new WeakMap(); // of each step: the controls by their names, so that a range's ends stay in order
const titleOf = (kind) => words[`tfm_${kind}`] ?? kind;

// --- asking ---------------------------------------------------------------------------------------------------------

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, DEBOUNCE);
}

/** One request at a time; what was set meanwhile is asked for after it. */
async function ask() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  pictures.setAttribute("aria-busy", "true");
  try {
    const given = steps.map(({ where, kind, on, own: number, values }) => ({ where, kind, on, own: kind ? null : number, values }));
    const answer = await send(address, { place: Number(place.value) - 1, first, steps: given });
    show(answer);
  } catch (error) {
    what.textContent = error.message;
    what.classList.add("bad");
  }
  pictures.setAttribute("aria-busy", "false");
  running = false;
  if (again) {
    again = false;
    ask();
  }
}

function show(answer) {
  what.classList.remove("bad");
  what.textContent = [answer.name, answer.label ? filled(words.aug_labelled, { label: answer.label }) : "", answer.sizes[0]].filter(Boolean).join(" · ");
  code.textContent = answer.code;
  answer.pictures.forEach((base64, i) => {
    const item = pictures.children[i] ?? pictures.appendChild(emptyItem());
    const [image, caption] = item.children;
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    const text = i ? filled(words.aug_epoch, { epoch: first + i - 1 }) : words.aug_plain;
    image.alt = text;
    caption.textContent = text;
    caption.setAttribute("aria-hidden", "true");
  });
}

function emptyItem() {
  const item = made("li");
  item.append(made("img"), made("span"));
  return item;
}

// --- the settings ---------------------------------------------------------------------------------------------------

function draw() {
  list.replaceChildren(...steps.map(stepOf));
  const present = new Set(steps.map((step) => step.kind));
  chooser.replaceChildren(...Object.keys(forms).filter((kind) => !present.has(kind)).map((kind) => {
    const option = made("option", "", `${titleOf(kind)} (${kind})`);
    option.value = kind;
    return option;
  }));
}

function stepOf(step, number) {
  if (step.fixed) {
    const told = made("p", "step", words.aug_fixed);
    told.append(made("code", "", step.label));
    return told;
  }
  const box = made("fieldset", step.on ? "step" : "step off"), legend = made("legend"), label = made("label");
  const on = made("input");
  on.type = "checkbox";
  on.checked = step.on;
  on.addEventListener("change", () => {
    step.on = on.checked;
    box.classList.toggle("off", !step.on);
    fields.disabled = !step.on;
    soon();
  });
  label.append(on);
  const title = made("span", "", step.kind ? titleOf(step.kind) : words.aug_own);
  label.append(title, made("code", "", step.kind || step.label));
  legend.append(label);
  box.append(legend);
  if (step.added) box.append(removeButton(step, number));
  const fields = made("fieldset", "plain");
  fields.disabled = !step.on;
  const grid = made("div", "fields");
  for (const field of step.kind ? forms[step.kind].fields : []) addField(grid, step, field, `f${number}-${field.name}`);
  if (grid.children.length) {
    fields.append(grid);
    box.append(fields);
  }
  return box;
}

function removeButton(step) {
  const button = made("button", "remove", words.aug_remove);
  button.type = "button";
  button.setAttribute("aria-label", `${words.aug_remove}: ${titleOf(step.kind)}`);
  button.addEventListener("click", () => {
    steps = steps.filter((other) => other !== step);
    draw();
    chooser.focus();
    soon();
  });
  return button;
}

function addField(grid, step, field, id) {
  const value = step.values[field.name];
  if (Array.isArray(value)) {
    value.forEach((_, i) => {
      const part = words[`set_${field.name}_${i}`] ?? words[`set_${field.name}`];
      numbers(grid, step, field, `${field.name}_${i}`, `${id}-${i}`, part, () => step.values[field.name][i], (given) => { step.values[field.name][i] = given; });
    });
    return;
  }
  const text = words[`set_${step.kind}_${field.name}`] ?? words[`set_${field.name}`] ?? field.name;
  const read = () => step.values[field.name], write = (given) => { step.values[field.name] = given; };
  if (field.form === "choice") choices(grid, field, id, text, read, write);
  else if (field.form === "switch") onOff(grid, field, id, text, read, write);
  else numbers(grid, step, field, field.name, id, text, read, write);
}

function labelled(grid, field, id, text) {
  const label = made("label", "words", text);
  label.htmlFor = id;
  label.append(made("code", "", field.name));
  grid.append(label);
}

/** The other end of a range, and whether it is the upper one: of `min_zoom` it is `max_zoom`; of one without, "". */
function otherEnd(key) {
  if (key.startsWith("min_")) return [key.replace("min_", "max_"), true];
  if (key.startsWith("max_")) return [key.replace("max_", "min_"), false];
  if (key.startsWith("ratio_")) return key.endsWith("0") ? ["ratio_1", true] : ["ratio_0", false];
  return ["", false];
}

function numbers(grid, step, field, key, id, text, read, write) {
  labelled(grid, field, id, text);
  const slider = made("input"), exact = made("input");
  slider.type = "range";
  slider.id = id;
  exact.type = "number";
  exact.setAttribute("aria-label", text);
  for (const input of [slider, exact]) {
    input.min = field.low;
    input.max = field.high;
    input.step = field.step;
    input.value = read();
    input.autocomplete = "off";
  }
  exact.step = "any";
  const take = (given) => {
    write(given);
    slider.value = given;
    if (document.activeElement !== exact) exact.value = given;
  };
  const controls = ends.get(step) ?? ends.set(step, new Map()).get(step);
  controls.set(key, { take, read });
  const set = (given) => {
    take(given);
    const [end, isUpper] = otherEnd(key), other = controls.get(end);
    if (other && (isUpper ? other.read() < given : other.read() > given)) other.take(given);
    soon();
  };
  slider.addEventListener("input", () => set(Number(slider.value)));
  exact.addEventListener("input", () => {
    if (exact.value === "" || !exact.checkValidity()) return;
    set(field.form === "whole" ? Math.round(Number(exact.value)) : Number(exact.value));
  });
  exact.addEventListener("change", () => { exact.value = read(); });
  grid.append(slider, exact);
}

function choices(grid, field, id, text, read, write) {
  labelled(grid, field, id, text);
  const select = made("select");
  select.id = id;
  select.autocomplete = "off";
  for (const choice of field.choices) {
    const option = made("option", "", words[`set_choice_${choice}`] ?? choice);
    option.value = choice;
    select.append(option);
  }
  select.value = read();
  select.addEventListener("change", () => {
    write(select.value);
    soon();
  });
  grid.append(select);
}

function onOff(grid, field, id, text, read, write) {
  labelled(grid, field, id, text);
  const box = made("input", "box");
  box.type = "checkbox";
  box.id = id;
  box.checked = read();
  box.addEventListener("change", () => {
    write(box.checked);
    soon();
  });
  grid.append(box);
}

// --- the rest -------------------------------------------------------------------------------------------------------

function go(to) {
  place.value = ((to - 1 + total) % total) + 1;
  soon();
}

document.getElementById("image-form").addEventListener("submit", (event) => {
  event.preventDefault();
  soon();
});
place.addEventListener("input", () => {
  if (place.checkValidity()) soon();
});
document.getElementById("before").addEventListener("click", () => go(Number(place.value) - 1));
document.getElementById("after").addEventListener("click", () => go(Number(place.value) + 1));
document.getElementById("again").addEventListener("click", () => {
  first += 11;
  soon();
});
document.getElementById("reset").addEventListener("click", () => {
  steps = structuredClone(own);
  first = 0;
  draw();
  tell(words.aug_was_reset);
  soon();
});
document.getElementById("add-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const kind = chooser.value;
  if (!kind) return;
  const step = { where: "batch", kind, on: true, own: null, values: structuredClone(forms[kind].usual), added: true };
  const last = steps.findIndex((other) => other.where === "batch" && other.fixed);
  steps.splice(last < 0 ? steps.length : last, 0, step);
  draw();
  tell(filled(words.aug_added, { kind: titleOf(kind) }));
  soon();
});
document.getElementById("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(code.textContent);
    tell(words.aug_copied);
  } catch {
    getSelection().selectAllChildren(code);
    tell(words.aug_selected);
  }
});

draw();
ask();
