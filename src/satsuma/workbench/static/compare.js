// Puts the figures of a comparison into their places, one after the other.

for (const holder of document.querySelectorAll("[data-figure]")) {
  const answer = await fetch(holder.dataset.figure);
  if (answer.ok) holder.innerHTML = await answer.text(); // drawn by the server; names in it are text
}
