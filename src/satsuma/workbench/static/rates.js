// The rate finder's button; the page itself waits for the sweep.

import { send, tell, texts } from "./base.js";
import { copyButtons } from "./copy.js";

const words = texts();

document.getElementById("find").addEventListener("click", async (event) => {
  event.target.disabled = true;
  try {
    await send(words.base);
    location.assign(words.base);
  } catch (error) {
    tell(error.message, "bad");
    event.target.disabled = false;
  }
});

copyButtons(words);
