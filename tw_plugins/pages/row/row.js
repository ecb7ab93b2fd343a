
const CHUNK = 400, { ids, positions, loss } = data, N = ids.length;
const segments = segmentsOf(positions);
const mainLength = data.branches.length ? data.branches[0][0] : N;
const parts = [[0, mainLength, 0, 0], ...data.branches]; // start, length, block, thread
const chunks = [];
let chosen = null, aim = null; // aim: the token that was jumped to, until the reader scrolls

const hueOf = (thread) => (thread ? ((thread + 5) % 6) + 1 : 0);
const textOf = (offset) => data.texts[ids[offset]];
const isTag = (text) => /^<\/?(Parallel|Outlines|Outline|Thread|Conclusion|think)>$/.test(text) || /^<\|.*\|>$/.test(text);
const visible = (text) => (text === "" ? "∅" : text.replace(/\n/g, "↵\n").replace(/\t/g, "⇥"));
const trained = (start, stop) => { let sum = 0; for (let at = start; at < stop; at++) sum += loss[at]; return sum; };

function nameOf([, , block, thread]) {
  return thread ? `block ${block}, thread ${thread}` : "main path";
}

function partOf(offset) {
  let low = 0, high = parts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (parts[middle][0] <= offset) low = middle;
    else high = middle - 1;
  }
  return parts[low];
}

// Where to cut after `start`: behind a line feed if one is near, else before white space, so that no word is torn.
function cut(start, stop) {
  const end = Math.min(start + CHUNK, stop);
  if (end === stop) return end;
  const near = (fits) => { for (let at = end; at > end - 120; at--) if (fits(at)) return at; };
  return near((at) => textOf(at - 1).endsWith("\n")) ?? near((at) => /^\s/.test(textOf(at))) ?? end;
}

function chunkOf(start, stop, follows) {
  const goesOn = follows && !textOf(start - 1).endsWith("\n"); // the line began in the chunk before
  const box = html("div", goesOn ? "chunk goes-on" : "chunk");
  for (let at = start; at < stop; at++) {
    const text = textOf(at);
    box.append(html("span", `t${loss[at] ? " trained" : ""}${isTag(text) ? " tag" : ""}`, visible(text)));
  }
  chunks.push({ start, stop, box });
  return box;
}

function drawParts() {
  for (const part of parts) {
    const [start, length, , thread] = part, stop = start + length;
    const title = html("h2", "", html("b", "", nameOf(part)), ` · ${plural(length, "token")}, ${whole(trained(start, stop))} trained`);
    if (thread) title.append(` · forks at position ${positions[start]}`);
    const section = html("section", `segment c${hueOf(thread)}`, title);
    for (let at = start; at < stop; at = chunks.at(-1).stop) section.append(chunkOf(at, cut(at, stop), at > start));
    byId("row").append(section);
  }
}

function chunkAt(offset) {
  return chunks.find(({ start, stop }) => start <= offset && offset < stop);
}

function elementAt(offset) {
  const chunk = chunkAt(offset);
  return chunk.box.children[offset - chunk.start];
}

function offsetOf(element) {
  const chunk = chunks.find(({ box }) => box === element.parentNode);
  return chunk && chunk.start + [...chunk.box.children].indexOf(element);
}

function light(intervals) {
  for (const { start, stop, box } of chunks) {
    const inside = intervals.map(([low, high]) => [Math.max(low, start), Math.min(high, stop)]).filter(([low, high]) => low < high);
    const whole = inside.reduce((sum, [low, high]) => sum + high - low, 0) === stop - start;
    for (const lit of box.querySelectorAll(".lit")) lit.classList.remove("lit");
    box.classList.toggle("all", whole);
    if (!whole) for (const [low, high] of inside) for (let at = low; at < high; at++) box.children[at - start].classList.add("lit");
  }
}

function choose(offset, scroll) {
  document.querySelector(".chosen")?.classList.remove("chosen");
  chosen = offset;
  document.body.classList.toggle("asked", offset !== null);
  light(offset === null ? [] : seenBy(segments, offset));
  if (offset !== null) {
    const element = elementAt(offset);
    element.classList.add("chosen");
    if (scroll) (aim = element).scrollIntoView({ block: "center" });
    history.replaceState(null, "", `#${offset}`);
  }
  tell(offset);
  drawOverview();
  drawMask();
}

function tell(offset) {
  const told = byId("told");
  if (offset === null) return told.replaceChildren(html("p", "", html("span", "", "Hover a token to read it, click it to see what it attends to.")));
  const seen = seenBy(segments, offset);
  const facts = `id ${ids[offset]} · position ${positions[offset]} · row offset ${offset} · ${offset < data.prompt ? "prompt" : nameOf(partOf(offset))}`;
  const ranges = seen.map(([low, high], at) => `${at === seen.length - 1 ? "own segment" : nameOf(partOf(low))} ${low}–${high - 1}`);
  const total = seen.reduce((sum, [low, high]) => sum + high - low, 0);
  told.replaceChildren(
    html("p", "", html("code", "", visible(textOf(offset)).replace(/\n/g, "")), ` ${facts} · `, html("b", "", loss[offset] ? `trained, predicted from offset ${offset - 1}` : "context, not trained")),
    html("p", "", html("span", "", `attends to ${plural(total, "token")}: ${ranges.join(", ")} (row offsets)`)),
  );
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function canvasOf(id) {
  const canvas = byId(id), ratio = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const drawing = canvas.getContext("2d");
  drawing.scale(ratio, ratio);
  return [drawing, width, height];
}

function drawOverview() {
  const [drawing, width] = canvasOf("overview"), x = (offset) => (offset / N) * width;
  const band = (start, stop, y, height, fill) => { drawing.fillStyle = fill; drawing.fillRect(x(start), y, Math.max(x(stop) - x(start), 0.75), height); };
  parts.forEach(([start, length, , thread]) => band(start, start + length, 0, 20, colour(thread ? `--c${hueOf(thread)}` : "--c0")));
  band(0, data.prompt, 0, 20, colour("--slow"));
  for (let at = 0; at < N; ) {
    let stop = at + 1;
    while (stop < N && loss[stop] === loss[at]) stop++;
    if (loss[at]) band(at, stop, 24, 8, colour("--ink"));
    at = stop;
  }
  band(0, N, 37, 14, colour("--grid"));
  if (chosen !== null) {
    for (const [low, high] of seenBy(segments, chosen)) band(low, high, 37, 14, colour("--accent"));
    band(chosen, chosen + 1, 0, 54, colour("--ink"));
  }
  drawing.fillStyle = colour("--on");
  drawing.font = "11px system-ui, sans-serif";
  for (const part of parts) if (x(part[1]) > 110) drawing.fillText(nameOf(part), x(Math.max(part[0], part[3] ? 0 : data.prompt)) + 6, 14);
}

function drawMask() {
  const [drawing, size, height] = canvasOf("mask");
  if (!size) return; // hidden at phone width
  drawing.fillStyle = colour("--grid");
  drawing.fillRect(0, 0, size, height);
  const line = Math.max(height / N, 1);
  for (let y = 0; y < height; y += line) {
    const query = Math.min(Math.floor((y / height) * N), N - 1), thread = partOf(query)[3];
    drawing.fillStyle = colour(thread ? `--c${hueOf(thread)}` : "--c0");
    for (const [low, high] of seenBy(segments, query)) drawing.fillRect((low / N) * size, y, ((high - low) / N) * size, line + 0.5);
  }
  if (chosen === null) return;
  drawing.strokeStyle = colour("--ink");
  drawing.strokeRect(0, (chosen / N) * height - 1, size, Math.max(height / N, 1) + 2);
}

function start() {
  figures(byId("figures"), [
    ["tokens", whole(N)], ["trained", `${whole(trained(0, N))} (${percent(trained(0, N) / N)})`], ["prompt", whole(data.prompt)],
    ["main path", whole(mainLength)], [data.branches.length === 1 ? "branch" : "branches", whole(data.branches.length)],
  ]);
  drawParts();
  byId("row").addEventListener("click", (event) => event.target.matches(".t") && choose(offsetOf(event.target)));
  byId("row").addEventListener("mouseover", (event) => event.target.matches(".t") && tell(offsetOf(event.target)));
  byId("row").addEventListener("mouseleave", () => tell(chosen));
  const picked = (event, share) => choose(Math.min(Math.max(Math.floor(share(event.target.getBoundingClientRect()) * N), 0), N - 1), true);
  byId("overview").addEventListener("click", (event) => picked(event, (box) => (event.clientX - box.left) / box.width));
  byId("mask").addEventListener("click", (event) => picked(event, (box) => (event.clientY - box.top) / box.height));
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") choose(null);
    else if (step && !event.altKey && !event.ctrlKey && !event.metaKey) choose(Math.min(Math.max((chosen ?? (step > 0 ? -1 : N)) + step, 0), N - 1), true);
    else return;
    event.preventDefault();
  });
  // Chunks off the screen have estimated heights; drawing them moves the token that was jumped to.
  new ResizeObserver(() => aim?.scrollIntoView({ block: "center" })).observe(byId("row"));
  for (const scrolls of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(scrolls, () => { aim = null; }, { capture: true, passive: true });
  addEventListener("resize", () => { drawOverview(); drawMask(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawOverview(); drawMask(); });
  const linked = Number(location.hash.slice(1));
  choose(location.hash && linked >= 0 && linked < N ? linked : null, true);
}

start();
