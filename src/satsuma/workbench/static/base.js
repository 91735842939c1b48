// What every page does: change the language, and hold small helpers for the other modules.

const TOLD_MS = 7000;
let gone = 0;

const chooser = document.getElementById("language");
chooser.addEventListener("change", async () => {
  await send(`/language/${chooser.value}`);
  location.reload();
});

document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

document.getElementById("retry")?.addEventListener("click", async () => {
  await send("/retry");
  location.reload();
});

/** POST `value` as JSON (or a FormData as it is); the answer as an object. Waits while the
    server is still making what it needs. Throws an Error with the server's words. */
export async function send(address, value = {}) {
  const form = value instanceof FormData;
  for (;;) {
    const answer = await fetch(address, {
      method: "POST",
      headers: form ? {} : { "Content-Type": "application/json", Accept: "application/json" },
      body: form ? value : JSON.stringify(value),
    });
    if (answer.status !== 202) return read(answer);
    await new Promise((later) => setTimeout(later, 700));
  }
}

/** GET JSON; waits while the server is still making it. */
export async function get(address) {
  for (;;) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (answer.status !== 202) return read(answer);
    await new Promise((later) => setTimeout(later, 700));
  }
}

async function read(answer) {
  const value = await answer.json().catch(() => ({ error: answer.statusText }));
  if (!answer.ok) throw new Error(value.error ?? value.detail ?? answer.statusText);
  return value;
}

/** The texts that the page gave its script: <script type="application/json" id="texts">. */
export function texts() {
  return JSON.parse(document.getElementById("texts")?.textContent ?? "{}");
}

/** Say something to all who read the page, those who hear it too. */
export function tell(text, tone = "") {
  let place = document.getElementById("told");
  if (!place) {
    place = document.createElement("p");
    place.id = "told";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  place.textContent = text;
  place.className = tone;
  clearTimeout(gone);
  gone = setTimeout(() => { place.textContent = ""; }, TOLD_MS);
}
