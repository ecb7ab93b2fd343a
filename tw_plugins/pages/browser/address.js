
// What is shown stands in the address: #3&is=wrong,forked&words=area&sort=slowest+first. A number alone is a link to one trajectory.
const SELECTS = ["file", "kind", "reason", "sort"];

function address(place) {
  const asked = new URLSearchParams();
  if (on.size) asked.set("is", [...on].join(","));
  if (words) asked.set("words", words);
  for (const id of SELECTS) if (byId(id).selectedIndex > 0) asked.set(id, byId(id).value);
  return `#${[place, asked].filter(String).join("&")}`;
}

// Sets the filters as the address has them, what it does not know aside; returns the number that is linked to, if any.
function restore() {
  const [, place, rest] = location.hash.match(/^#(\d*)&?(.*)$/s) ?? [];
  const asked = new URLSearchParams(rest ?? "");
  on.clear();
  for (const name of (asked.get("is") ?? "").split(",")) if (Object.hasOwn(FILTERS, name)) on.add(name);
  byId("words").value = asked.get("words") ?? "";
  words = byId("words").value.toLowerCase();
  for (const id of SELECTS) {
    const at = [...byId(id).options].findIndex((option) => option.value === asked.get(id));
    byId(id).selectedIndex = Math.max(at, 0);
  }
  return place ? Number(place) : null;
}
