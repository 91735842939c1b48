// Data: on small screens the classes are folded away until someone asks for them.
const box = document.getElementById("classes-box");
if (box && matchMedia("(max-width: 56rem)").matches && !new URLSearchParams(location.search).has("classes")) box.open = false;
document.querySelector(".bars .on")?.scrollIntoView({ block: "nearest" });
