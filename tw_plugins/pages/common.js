"use strict";
// Text reaches the page as text nodes only: no text from a model is ever read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function html(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function button(label, action, pressed) {
  const element = html("button", "", label);
  element.type = "button";
  element.addEventListener("click", action);
  if (pressed !== undefined) element.setAttribute("aria-pressed", pressed);
  return element;
}

function figures(target, pairs) {
  target.replaceChildren(...pairs.map(([name, value]) => html("div", "", html("dt", "", name), html("dd", "", value))));
  return target;
}

const whole = (value) => Math.round(value).toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
