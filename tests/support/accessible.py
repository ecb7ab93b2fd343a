"""What stands in the way of people who see little or use no mouse, on a page that Chromium shows."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from tests.support.chromium import Page

AXE = "axe_playwright_python"
NO_AXE = f"axe-core is not there, requirements/axe.txt has it: {AXE}" if find_spec(AXE) is None else None

FAULTS = r"""
const shown = (element) => element.getClientRects().length && !element.closest("svg, :disabled, noscript");
const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
const drawing = canvas.getContext("2d", { willReadFrequently: true });
const painted = (...colours) => { // one over the other
  for (const colour of colours) { drawing.fillStyle = colour; drawing.fillRect(0, 0, 1, 1); }
  return [...drawing.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (element) => { // as WCAG 2 has it
  const behind = [];
  for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
  const [paper, ink] = [painted("white", ...behind), painted(getComputedStyle(element).color)].map(luminance);
  return (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
};
const wanted = (element) => {
  const { fontSize, fontWeight } = getComputedStyle(element);
  return parseFloat(fontSize) >= (fontWeight >= 700 ? 18.66 : 24) ? 3 : 4.5;
};
const named = (element) => element.ariaLabel || element.textContent.trim() || element.labels?.length;
const scrolls = (element) => {
  const { overflowX, overflowY } = getComputedStyle(element), can = (how) => /auto|scroll/.test(how);
  return (can(overflowX) && element.scrollWidth > element.clientWidth + 1)
    || (can(overflowY) && element.scrollHeight > element.clientHeight + 1);
};
const inside = (element) => element.querySelector("a, button, input, select, summary, [tabindex='0']");
const all = [...document.body.querySelectorAll("*")].filter(shown);
const where = (element) => `${element.tagName.toLowerCase()}.${element.className} "${element.textContent.trim().slice(0, 30)}"`;
return [
  ...all.filter((one) => own(one) && contrast(one) < wanted(one)).map((one) => `contrast ${contrast(one).toFixed(2)}: ${where(one)}`),
  ...all.filter((one) => one.matches("a, button, input, select, [role=listbox]") && !named(one)).map((one) => `no name: ${where(one)}`),
  ...all.filter((one) => scrolls(one) && one.tabIndex < 0 && !inside(one)).map((one) => `no Tab to what scrolls: ${where(one)}`),
  ...(document.documentElement.scrollWidth > innerWidth ? ["the page is wider than its window"] : []),
];
"""  # noqa: E501


def faults(shown: Page) -> list[str]:
    """Faint text, controls without a name, what scrolls out of Tab's reach, a page wider than its window."""
    return list(shown.run(FAULTS))


def axe(shown: Page) -> list[Any]:
    """What axe-core finds: rule, and the first element."""
    shown.run(files(AXE).joinpath("axe.min.js").read_text(encoding="utf-8"))
    return list(
        shown.run(
            "return (await axe.run()).violations.map((one) => [one.id, one.nodes[0].target.join(' ')]);"
        )
    )
