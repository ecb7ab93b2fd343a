
const ROW = 60; // height of .item
const TAGS = /<\/?(?:Parallel|Outlines|Outline|Thread|Conclusion|think)>/;
const all = data.trajectories;
const FILTERS = {
  correct: [0, (t) => t.correct === true], wrong: [0, (t) => t.correct === false],
  forked: [1, (t) => t.blocks > 0], sequential: [1, (t) => !t.blocks],
  malformed: [2, (t) => t.reasons], "limits hit": [2, (t) => t.limits], rejected: [2, (t) => t.rejected],
};
const spaced = (code) => code.replaceAll("_", " ");
const acceleration = (t) => (t.total ? 1 - t.longest / t.total : 0);
const ORDERS = {
  "as in the file": (t) => t.place, "fastest first": (t) => t.longest, "slowest first": (t) => -t.longest,
  "most tokens first": (t) => -t.total, "highest acceleration": (t) => -acceleration(t),
  "longest wall clock": (t) => -(t.wall ?? -1), "highest score": (t) => -(t.score ?? -1e300),
};
const on = new Set();
let words = "", shown = all, selected = null, byClock = false;

all.forEach((t, place) => { t.place = place; });

function haystack(t) {
  t.haystack ??= [t.prompt, t.answer, t.given, t.rejected, t.detail, t.more?.id, ...(t.parts ?? []).map((part) => (part.length > 1 ? `${part[3]}\n${part[2]}` : part[0]))]
    .join("\n").toLowerCase();
  return t.haystack;
}

function passes(t) {
  for (const group of [0, 1, 2]) {
    const active = [...on].filter((name) => FILTERS[name][0] === group);
    if (active.length && !active.some((name) => FILTERS[name][1](t))) return false;
  }
  if (byId("file").value && t.file !== Number(byId("file").value)) return false;
  if (byId("kind").value && t.kind !== byId("kind").value) return false;
  if (byId("reason").value && t.rejected !== byId("reason").value) return false;
  return !words || haystack(t).includes(words);
}

// What is selected is one of what is shown: the first where the filters leave out the one before.
function refresh() {
  const key = ORDERS[byId("sort").value];
  shown = all.filter(passes).sort((a, b) => key(a) - key(b) || a.place - b.place);
  byId("space").style.height = `${shown.length * ROW}px`;
  summarise();
  drawChips();
  select(shown.includes(selected) ? selected : shown[0]);
  byId("list").scrollTop = Math.max(shown.indexOf(selected) - 2, 0) * ROW;
  drawRows();
}

function summarise() {
  const mean = (value, of = shown) => of.reduce((sum, t) => sum + value(t), 0) / Math.max(of.length, 1);
  const graded = shown.filter((t) => t.correct !== undefined), clocked = shown.filter((t) => t.wall);
  const unit = new Set(shown.map((t) => t.unit)).size === 1 ? shown[0].unit : "tokens or characters";
  const few = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  if (!shown.length) return figures(byId("figures"), [[`of ${whole(all.length)}`, "0"]]);
  figures(byId("figures"), [
    [`of ${whole(all.length)}`, whole(shown.length)],
    ...(graded.length ? [["correct", percent(mean((t) => t.correct, graded))]] : []),
    ["well-formed", percent(mean((t) => !t.reasons))],
    ["forked", percent(mean((t) => t.blocks > 0))],
    [`${unit} in sequence`, few.format(mean((t) => t.longest))],
    [`${unit} in all`, few.format(mean((t) => t.total))],
    ["acceleration η", mean(acceleration).toFixed(3)],
    ...(clocked.length ? [["wall clock", `${mean((t) => t.wall, clocked).toFixed(2)} s`]] : []),
  ]);
}

function place(t) {
  return data.files.length > 1 ? `${data.files[t.file]}:${t.line}` : `line ${t.line}`;
}

const short = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

function item(t) {
  const verdict = t.correct === undefined ? "" : t.correct ? "good" : "bad";
  const row = html("div", `item ${verdict}`);
  const first = (t.prompt || (t.parts ?? []).map((part) => part[part.length > 1 ? 2 : 0])[0] || "(empty)").trim().slice(0, 160);
  const facts = [verdict && (t.correct ? "correct" : `wrong${t.unanswered ? ", no answer" : t.given && t.answer ? `: ${short(t.given, 20)}, not ${short(t.answer, 20)}` : ""}`), t.kind, t.blocks ? `${plural(t.blocks, "fork")}, ${plural(t.threads, "thread")}` : "sequential", place(t)];
  const size = html("span", "size", html("b", "", whole(t.longest)), ` / ${whole(t.total)}`);
  size.title = `${t.unit} in sequence / in all`;
  const sub = html("span", "sub");
  if (t.rejected) sub.append(html("span", "flag", spaced(t.rejected)), " · ");
  if (t.reasons) sub.append(html("span", "flag", "malformed"), " · ");
  if (t.limits) sub.append(html("span", "flag", "limit hit"), " · ");
  sub.append(facts.filter(Boolean).join(" · "));
  row.append(html("span", "title", first), size, sub);
  row.id = `t${t.place}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", t === selected);
  row.addEventListener("click", () => select(t, true));
  return row;
}

function drawRows() {
  const list = byId("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  byId("rows").style.top = `${first * ROW}px`;
  const rows = shown.slice(first, last).map(item);
  byId("rows").replaceChildren(...rows);
  if (byId(`t${selected?.place}`)) list.setAttribute("aria-activedescendant", `t${selected.place}`);
  else list.removeAttribute("aria-activedescendant");
}

function showAll() {
  on.clear();
  words = "";
  for (const id of ["words", "file", "kind", "reason"]) byId(id).value = "";
  refresh();
}

// Without a trajectory nothing is selected.
function select(t, open) {
  selected = t ?? null;
  history.replaceState(null, "", address(t ? t.place + 1 : ""));
  byId("none").hidden = Boolean(t);
  byId("list").hidden = !t;
  document.body.classList.toggle("reading", Boolean(t && (open || document.body.classList.contains("reading"))));
  drawRows();
  if (t) drawDetail(t);
  else byId("detail").replaceChildren(html("p", "soft", "Nothing matches."));
  document.title = t ? `${place(t)} · trajectories` : "trajectories";
}

function move(step) {
  const next = shown[shown.indexOf(selected) + step];
  if (!next) return;
  select(next);
  bringIntoView();
}

function bringIntoView() {
  const list = byId("list"), top = shown.indexOf(selected) * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

// Text with its control tags muted and what is searched for marked.
function tinted(text) {
  const escaped = words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(`(${words ? `${escaped}|` : ""}${TAGS.source})`, "i");
  const box = html("pre");
  for (const [index, piece] of text.split(pattern).entries()) {
    if (index % 2 === 0) box.append(piece);
    else if (words && piece.toLowerCase() === words) box.append(html("mark", "", piece));
    else box.append(html("span", "tag", piece));
  }
  return box;
}

function thread([block, number, text, outline, tokens]) {
  const head = html("header", "", html("b", "", `thread ${number}`), html("i", "", tokens === null ? "" : `${whole(tokens)} ${selected.unit}`));
  if (outline) head.append(html("p", "", outline));
  return html("div", `thread c${((number + 5) % 6) + 1}`, head, tinted(text));
}

function response(t) {
  const boxes = [];
  let block = null, columns = null;
  for (const part of t.parts ?? []) {
    if (part.length === 1) {
      boxes.push(tinted(part[0]));
      block = null;
    } else {
      if (block !== part[0]) boxes.push((columns = html("div", "threads")));
      block = part[0];
      columns.append(thread(part));
    }
  }
  return boxes.length ? boxes : [html("p", "soft", "An empty response.")];
}

function badges(t) {
  const made = [];
  if (t.correct !== undefined) made.push(html("span", `badge ${t.correct ? "good" : "bad"}`, t.correct ? "correct" : "wrong"));
  if (t.rejected) made.push(html("span", "badge bad", "rejected"));
  if (t.reasons) made.push(html("span", "badge bad", "malformed"));
  for (const [name, count] of Object.entries(t.limits ?? {})) made.push(html("span", "badge warn", name === "any" ? `${plural(count, "limit")} hit` : `${name} hit ${count}×`));
  for (const name of [t.kind, t.mode, t.form]) if (name) made.push(html("span", "badge", name));
  return made;
}

function facts(t) {
  const pairs = [
    [`${t.unit} in sequence`, whole(t.longest)], [`${t.unit} in all`, whole(t.total)],
    ["acceleration η", acceleration(t).toFixed(3)], ["self-parallelism", `${(t.total / Math.max(t.longest, 1)).toFixed(2)}×`],
    [t.blocks === 1 ? "fork" : "forks", whole(t.blocks)], [t.threads === 1 ? "thread" : "threads", whole(t.threads)],
  ];
  if (t.wall !== undefined) pairs.push(["wall clock", `${t.wall.toFixed(2)} s`]);
  if (t.score !== undefined) pairs.push(["score", String(Number(t.score.toFixed(4)))]);
  return figures(html("dl", "figures"), pairs);
}

// What was expected, and what was given; a file may say one of them only.
function answers(t) {
  const pairs = [["expected", t.answer], ["got", t.given ?? (t.unanswered ? "no answer" : undefined)]];
  const said = pairs.filter(([, value]) => value).flatMap(([name, value]) => [`${name} `, html("b", "", short(value, 200)), " "]);
  return said.length ? [html("p", "answers", ...said)] : [];
}

function drawing(t) {
  const timed = byClock && t.clock, drawn = timed ? t.clock : t.timeline;
  const picture = svg("svg", { viewBox: `0 0 ${data.width} ${drawn.axis + 22}`, role: "img", "aria-label": "timeline of the trajectory" });
  drawn.ticks.forEach(([at, label], index) => {
    const unit = index ? "" : timed ? " seconds" : ` ${t.unit}`;
    picture.append(svg("line", { class: "grid", x1: at, x2: at, y1: 0, y2: drawn.axis }),
      svg("text", { x: at, y: drawn.axis + 16, "text-anchor": index ? "middle" : "start" }, label + unit));
  });
  for (const [x, y, width, colour, label, title, wait] of drawn.lanes) {
    const middle = y + data.bar / 2, lane = svg("g", { class: `lane c${colour}` }, svg("title", {}, title));
    if (wait !== null && wait - x - width > 0.5) lane.append(svg("line", { class: "wait", x1: x + width, x2: wait, y1: middle, y2: middle }));
    lane.append(svg("rect", { x, y, width, height: data.bar, rx: 4 }));
    if (label) lane.append(svg("text", { x: x + 9, y: middle + 4.5 }, label));
    picture.append(lane);
  }
  for (const [x, end, top, bottom] of drawn.forks) for (const at of [x, end]) picture.append(svg("line", { class: "fork", x1: at, x2: at, y1: top, y2: bottom }));
  return picture;
}

function timeline(t) {
  const card = html("div", "card scroll long", drawing(t)), title = html("h3", "", "Timeline ");
  if (t.clock) {
    const choose = (clock) => { byClock = clock; drawDetail(t); };
    title.append(html("span", "switch", button(t.unit, () => choose(false), !byClock), button("wall clock", () => choose(true), byClock)));
  }
  title.append(html("span", "switch", copyButton(card, "timeline")));
  return [title, card];
}

function drawDetail(t) {
  const at = shown.indexOf(t);
  const back = button("← list", () => document.body.classList.remove("reading"));
  back.id = "back";
  const previous = button("↑", () => move(-1)), next = button("↓", () => move(1));
  previous.disabled = at <= 0;
  next.disabled = at < 0 || at === shown.length - 1;
  previous.setAttribute("aria-label", "previous");
  next.setAttribute("aria-label", "next");
  const keys = html("span", "soft keys", html("kbd", "", "j"), " ", html("kbd", "", "k"), " move, ", html("kbd", "", "/"), " search");
  const top = html("div", "bar-top", back, html("h2", "", `${data.files[t.file]}, line ${t.line}`), ...badges(t), html("span", "move", keys, previous, next));
  const parts = [top, ...answers(t), facts(t)];
  if (t.note) parts.push(html("div", "notice", html("p", "", t.note)));
  if (t.rejected) parts.push(html("div", "notice bad", html("p", "", html("b", "", `Rejected: ${spaced(t.rejected)}`)), html("p", "", t.detail ?? "")));
  if (t.reasons) parts.push(html("div", "notice bad", html("p", "", "Malformed:"), html("ul", "", ...t.reasons.map((reason) => html("li", "", reason)))));
  if (t.timeline) parts.push(...timeline(t));
  if (t.prompt) parts.push(html("h3", "", "Prompt"), tinted(t.prompt));
  parts.push(html("h3", "", "Response"), ...response(t));
  const more = Object.entries(t.more ?? {}).map(([name, value]) => `${name} ${value}`);
  if (more.length) parts.push(html("p", "more", more.join(" · ")));
  byId("detail").replaceChildren(...parts);
  byId("detail").scrollTop = 0;
  reachable(byId("detail"));
}

function drawChips() {
  const made = Object.entries(FILTERS).map(([name, [, test]]) => {
    const count = all.filter(test).length;
    const chip = button(name, () => {
      on.has(name) ? on.delete(name) : on.add(name);
      refresh();
      [...byId("chips").children].find((other) => other.dataset.name === name).focus();
    }, on.has(name));
    chip.dataset.name = name;
    chip.append(html("b", "", whole(count)));
    chip.hidden = !count;
    return chip;
  });
  byId("chips").replaceChildren(...made);
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, label]) => Object.assign(html("option", "", label), { value })));
  select.hidden = options.length < 3;
  select.addEventListener("change", refresh);
}

// As the address says: the filters, and the trajectory that is linked to.
function follow() {
  const linked = all[restore() - 1];
  selected = linked ?? selected;
  refresh();
  if (linked && linked === selected) select(linked, true);
}

function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") document.activeElement.blur(), document.body.classList.remove("reading");
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key.startsWith("Arrow") && event.target.matches?.("[role=group]")) return; // it scrolls
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (step) move(step);
  else if (event.key === "/") byId("words").focus();
  else return;
  event.preventDefault();
}

function start() {
  byId("sources").textContent = data.files.join(", ");
  if (data.unreadable.length) {
    byId("unreadable").hidden = false;
    byId("unreadable").querySelector("summary").textContent = data.left_out;
    byId("unreadable").querySelector("ul").append(...data.unreadable.map((one) => html("li", "", one)));
  }
  fill(byId("file"), [["", "all files"], ...data.files.map((name, index) => [index, name])]);
  fill(byId("kind"), [["", "all kinds"], ...[...new Set(all.map((t) => t.kind ?? ""))].filter(Boolean).sort().map((kind) => [kind, kind])]);
  const reasons = [...new Set(all.map((t) => t.rejected))].filter(Boolean).sort();
  fill(byId("reason"), [["", "all reasons"], ...reasons.map((reason) => [reason, spaced(reason)])]);
  fill(byId("sort"), Object.keys(ORDERS).map((name) => [name, name]));
  byId("none").append(button("Show all", showAll));
  let waiting;
  byId("words").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { words = event.target.value.toLowerCase(); refresh(); }, 120);
  });
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  byId("list").addEventListener("scroll", drawRows, { passive: true });
  addEventListener("resize", drawRows);
  addEventListener("hashchange", follow);
  document.addEventListener("keydown", keyed);
  follow();
}

start();
