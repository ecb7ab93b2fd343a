"use strict";
// Texts of others are only ever set as text, never as markup.

const at = (id) => document.getElementById(id);
const made = (name, className = "", text = "") => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
};
const headers = () => {
  const key = at("key").value;
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
};
let asking = null; // of the answer that is under way

// The JSON of each event of a stream; an error, the server's or the connection's, is thrown.
async function* events(body, signal) {
  const answer = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  if (!answer.ok) throw await refusal(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server broke its answer off");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") return;
      if (!line.startsWith("data: ")) continue;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

async function refusal(answer) {
  if (answer.status === 401) {
    at("locked").hidden = false;
    at("key").focus();
  }
  const said = await answer.json().catch(() => null);
  return new Error(said?.error?.message ?? `HTTP ${answer.status}`);
}

// The parts of one trajectory: a text, or the threads of a block side by side, each with its bar on the timeline.
class Trajectory {
  constructor() {
    this.parts = new Map();
    this.seconds = 0;
    this.trajectory = null;
    at("parts").replaceChildren();
    at("timeline").replaceChildren();
  }

  take(event) {
    const own = event.choices[0]?.trajectory;
    if (own) this.trajectory = own;
    if (event.thread) this.grow(event.thread);
  }

  grow({ block, thread, event, text, tokens, seconds }) {
    const part = this.part(block, thread, seconds);
    if (text) part.text.append(text);
    part.count.textContent = `${tokens} tokens`;
    part.end = this.seconds = Math.max(seconds, this.seconds);
    if (event === "ended") {
      part.done = true;
      part.box.classList.remove("growing");
    }
    this.draw();
  }

  part(block, thread, seconds) {
    const open = this.parts.get(`${block} ${thread}`);
    if (open && !open.done) return open;
    const tone = thread === null ? "" : ` t${thread % 6}`;
    const part = { start: seconds, end: seconds, done: false, text: made("pre"), count: made("span"), bar: made("div", `bar${tone}`) };
    const lane = made("div", "lane");
    lane.append(part.bar);
    at("timeline").append(lane);
    if (thread === null) {
      part.box = part.text;
      at("parts").append(part.text);
    } else {
      part.box = made("article", `thread growing${tone}`);
      const title = made("h3");
      title.append(made("span", "", `thread ${thread}`), part.count);
      part.box.append(title, part.text);
      if (at("parts").lastElementChild?.dataset.block !== String(block)) {
        const row = made("div", "threads");
        row.dataset.block = block;
        at("parts").append(row);
      }
      at("parts").lastElementChild.append(part.box);
    }
    this.parts.set(`${block} ${thread}`, part);
    (this.all ??= []).push(part);
    return part;
  }

  draw() {
    const whole = this.seconds || 1;
    for (const part of this.all) {
      part.bar.style.left = `${(100 * part.start) / whole}%`;
      part.bar.style.width = `${(100 * ((part.done ? part.end : this.seconds) - part.start)) / whole}%`;
      part.bar.title = `${part.start.toFixed(2)} – ${part.end.toFixed(2)} s, ${part.count.textContent}`;
    }
  }
}

function figures(pairs) {
  at("figures").replaceChildren(
    ...pairs.map(([name, value]) => {
      const pair = made("div");
      pair.append(made("dt", "", name), made("dd", "", value));
      return pair;
    }),
  );
}

function tell(text, bad = false) {
  at("status").textContent = text;
  at("status").className = bad ? "bad" : "";
}

// Both modes one after the other, so that neither takes the engine from the other.
async function decode() {
  const asked = {
    messages: [{ role: "user", content: at("problem").value }],
    temperature: Number(at("temperature").value),
    stream: true,
    ...(at("tokens").value ? { max_tokens: Number(at("tokens").value) } : {}),
  };
  at("other").hidden = true;
  const shown = new Trajectory();
  figures([]);
  at("result").hidden = false;
  tell("decoding …");
  let began = performance.now();
  for await (const event of events({ ...asked, mode: "parallel", stream_options: { threads: true } }, asking.signal)) shown.take(event);
  const seconds = (performance.now() - began) / 1000;
  const { total_tokens: total, longest_tokens: longest, blocks, threads, limits_hit: hit } = shown.trajectory;
  const found = [
    ["tokens", String(total)],
    ["one after the other", String(longest)],
    ["self-parallelism", `${(total / (longest || 1)).toFixed(2)}×`],
    ["forks, threads", `${blocks}, ${threads}`],
    ["wall clock", `${seconds.toFixed(2)} s`],
    ...Object.entries(hit).map(([name, count]) => [`limit ${name}`, `${count}×`]),
  ];
  figures(found);
  if (!at("compare").checked) return;
  tell("decoding autoregressively …");
  const text = at("other").querySelector("pre");
  text.textContent = "";
  at("other").hidden = false;
  began = performance.now();
  for await (const event of events({ ...asked, mode: "autoregressive" }, asking.signal)) {
    const delta = event.choices[0]?.delta ?? {};
    text.append(delta.reasoning ?? delta.content ?? "");
  }
  const alone = (performance.now() - began) / 1000;
  figures([...found, ["autoregressively", `${alone.toFixed(2)} s`], ["speed-up", `${(alone / seconds).toFixed(2)}×`]]);
}

async function run() {
  if (asking || !at("problem").value.trim()) return;
  asking = new AbortController();
  at("run").disabled = true;
  at("stop").disabled = false;
  try {
    await decode();
    tell("done");
  } catch (error) {
    if (error.name === "AbortError") tell("stopped");
    else tell(error.message, true);
  } finally {
    asking = null;
    at("run").disabled = false;
    at("stop").disabled = true;
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
at("stop").addEventListener("click", () => asking?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  if (event.key === "Escape") asking?.abort();
});
at("key").addEventListener("change", greet);

async function greet() {
  const answer = await fetch("v1/models", { headers: headers() }).catch(() => null);
  if (answer?.ok) at("model").textContent = (await answer.json()).data[0].id;
  else if (answer) tell((await refusal(answer)).message, true);
  else tell("the server cannot be reached", true);
}
greet();
