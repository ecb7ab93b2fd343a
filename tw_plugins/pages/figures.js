
// Each figure can be taken along: a button copies its SVG as a file of its own, with the colours that it has here.
const PAINT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "paint-order", "font-family", "font-size", "font-weight"];

function standalone(picture) {
  const copy = picture.cloneNode(true), { width, height } = picture.viewBox.baseVal;
  const ours = [picture, ...picture.querySelectorAll("*")], theirs = [copy, ...copy.querySelectorAll("*")];
  ours.forEach((element, at) => {
    const shown = getComputedStyle(element);
    for (const name of PAINT) theirs[at].setAttribute(name, shown.getPropertyValue(name));
    for (const name of ["class", "role"]) theirs[at].removeAttribute(name);
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const paper = document.createElementNS(copy.namespaceURI, "rect"), card = getComputedStyle(picture.closest(".card"));
  for (const [name, value] of Object.entries({ width, height, fill: card.backgroundColor })) paper.setAttribute(name, value);
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}

// `card` may hold one picture for each width; the one that is shown is copied.
function copyButton(card, name) {
  const made = document.createElement("button"), label = "copy SVG";
  made.type = "button";
  made.className = "copy";
  made.textContent = label;
  made.setAttribute("aria-label", `${label}: ${name}`);
  made.addEventListener("click", async () => {
    const picture = [...card.querySelectorAll("svg")].find((one) => one.getClientRects().length);
    try {
      await navigator.clipboard.writeText(standalone(picture));
      made.textContent = "copied";
    } catch (error) {
      made.textContent = "this browser does not let a page copy";
    }
    setTimeout(() => { made.textContent = label; }, 2000);
  });
  return made;
}

// What scrolls is reached by Tab and scrolled by the arrow keys, but only where there is something to scroll.
function reachable(root) {
  for (const box of root.querySelectorAll(".scroll, pre, ul")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    const name = box.closest("section, figure, .thread")?.querySelector("h2, h3, figcaption b, header b")?.textContent;
    for (const [key, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": `${name ?? "text"}, scrolls` })) {
      if (scrolls) box.setAttribute(key, value);
      else box.removeAttribute(key);
    }
  }
}

for (const figure of document.querySelectorAll("figure.card:has(svg)")) {
  const title = figure.querySelector("figcaption b");
  figure.querySelector("figcaption").append(copyButton(figure, title.textContent));
}
reachable(document);
addEventListener("resize", () => reachable(document));
