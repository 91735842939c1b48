// Buttons that copy the text of another element: <button data-copies="its id">.

import { tell } from "./base.js";

export function copyButtons({ copied, copy_failed: failed }) {
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      try {
        await navigator.clipboard.writeText(source.textContent);
        tell(copied);
      } catch {
        getSelection().selectAllChildren(source);
        tell(failed, "bad");
      }
    });
  }
}
