// The F0 editor of the page. Gradio runs this text as the body of a function with `element`, `props`, `trigger` and
// `watch`; drawing.py says what `props.value` holds in both directions. F0 is kept in Hz, 0 where unvoiced.

const LOWEST_HZ = 30, HIGHEST_HZ = 2000, MOST_UNDO = 300, LISTEN_SECONDS = 20;
const NOTES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const HEIGHT = 300, LEFT = 36, BOTTOM = 20;
const TOOLS = ["draw", "select", "unvoice", "move"];

const root = element.querySelector(".svc-f0");
const state = {
  words: {}, curve: new Float32Array(0), measured: new Float32Array(0), step: 0.01, label: "", made: 0,
  first: 0, span: 1, low: 45, high: 75, cursor: 0, anchor: null, selection: null,
  tool: window.matchMedia("(pointer: coarse)").matches ? "move" : "draw",
  done: [], undone: [], touched: false,
};
let canvas = null, pen = null, parts = {}, colours = {}, stroke = null, sound = null, waiting = false;

const midi = (hz) => 69 + 12 * Math.log2(hz / 440);
const hertz = (note) => Math.min(HIGHEST_HZ, Math.max(LOWEST_HZ, 440 * 2 ** ((note - 69) / 12)));
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const say = (key, values = {}) => (state.words[key] || "").replace(/\{(\w+)\}/g, (_, name) => values[name]);

function clock(frame) {
  const seconds = frame * state.step;
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
}

function noteName(hz) {
  const near = Math.round(midi(hz));
  return `${NOTES[((near % 12) + 12) % 12]}${Math.floor(near / 12) - 1}`;
}

// Building: once, when the words are there

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function button(key, action, more = {}) {
  return make("button", { type: "button", class: "svc-f0-button", "data-do": key, onclick: action, ...more }, say(key));
}

function group(key, ...children) {
  return make("div", { role: "group", "aria-label": say(key), class: "svc-f0-group" }, ...children);
}

function build() {
  canvas = make("canvas", {
    tabindex: 0, role: "application", "aria-label": say("canvas"), "aria-describedby": "svc-f0-keys svc-f0-status",
  });
  pen = canvas.getContext("2d");
  parts.semitones = make("input", { type: "number", value: 1, step: 0.1, min: -36, max: 36, "aria-label": say("semitones") });
  const by = (sign) => () => transpose(sign * (parseFloat(parts.semitones.value) || 0));
  parts.tools = TOOLS.map((name) => button(name, () => choose(name), { "aria-pressed": "false" }));
  parts.undo = button("undo", undo);
  parts.redo = button("redo", redo);
  parts.scroll = make("input", {
    type: "range", min: 0, max: 1, value: 0, step: 1, "aria-label": say("scroll"),
    oninput: () => { state.first = parseFloat(parts.scroll.value); draw(); },
  });
  parts.status = make("p", { role: "status", id: "svc-f0-status", class: "svc-f0-status" });
  parts.listen = button("listen", listen);
  root.replaceChildren(
    make("p", { class: "svc-f0-label" }),
    make("div", { class: "svc-f0-bar" },
      group("tools", ...parts.tools),
      group("changes", parts.undo, parts.redo),
      group("view", button("zoom_in", () => zoom(0.5)), button("zoom_out", () => zoom(2)), button("whole", whole)),
    ),
    make("div", { class: "svc-f0-canvas" }, canvas),
    parts.scroll,
    parts.status,
    make("div", { class: "svc-f0-bar" },
      group("selected", button("all", selectAll), button("lower", by(-1)), parts.semitones, button("higher", by(1)),
        button("straight", straight), button("silent", () => fill(0)), button("restore", restore)),
    ),
    make("div", { class: "svc-f0-bar" },
      button("use", use, { class: "svc-f0-button svc-f0-main" }), button("save", save), parts.listen),
    make("details", {}, make("summary", {}, say("keys_title")), make("p", { id: "svc-f0-keys" }, say("keys"))),
  );
  canvas.addEventListener("pointerdown", pressed);
  canvas.addEventListener("pointermove", moved);
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, released);
  canvas.addEventListener("wheel", wheeled, { passive: false });
  canvas.addEventListener("keydown", typed);
  new ResizeObserver(draw).observe(canvas.parentElement);
  new MutationObserver(() => { colours = {}; draw(); }).observe(document.body, { attributeFilter: ["class"] });
  choose(state.tool);
}

// What is shown

function load(given, force) {
  if (!force && (state.touched || given.made <= state.made)) return;
  const next = Float32Array.from(given.f0_hz);
  const fits = next.length === state.curve.length;
  if (fits) change(0, next.length, next);  // what was drawn before can be had again by undoing
  else Object.assign(state, { curve: next, done: [], undone: [], selection: null, cursor: 0, anchor: null });
  Object.assign(state, { measured: next.slice(), step: given.step, label: given.label, made: given.made });
  state.touched = false;
  root.dataset.made = String(given.made);
  root.querySelector(".svc-f0-label").textContent = given.label;
  root.classList.add("svc-f0-full");
  if (!fits) whole();
  else { fit(); tell(); }
}

function fit() {
  let low = Infinity, high = -Infinity;
  for (const hz of state.curve) if (hz > 0) { low = Math.min(low, hz); high = Math.max(high, hz); }
  if (low > high) { low = 110; high = 440; }
  const middle = (midi(low) + midi(high)) / 2, reach = Math.max(8, (midi(high) - midi(low)) / 2 + 3);
  state.low = middle - reach;
  state.high = middle + reach;
}

function whole() {
  state.first = 0;
  state.span = Math.max(1, state.curve.length);
  fit();
  tell();
}

function zoom(factor, around = state.cursor) {
  const total = state.curve.length;
  const inside = around >= state.first && around <= state.first + state.span;
  const centre = inside ? around : state.first + state.span / 2;
  const share = (centre - state.first) / state.span;
  state.span = clamp(state.span * factor, Math.min(20, total), total);
  state.first = clamp(centre - share * state.span, 0, total - state.span);
  draw();
}

function reveal() {
  if (state.cursor < state.first) state.first = state.cursor;
  if (state.cursor > state.first + state.span - 1) state.first = state.cursor - state.span + 1;
  state.first = clamp(state.first, 0, state.curve.length - state.span);
}

const plotWidth = () => canvas.clientWidth - LEFT;
const plotHeight = () => HEIGHT - BOTTOM;
const xOf = (frame) => LEFT + ((frame - state.first) / state.span) * plotWidth();
const yOf = (note) => (1 - (note - state.low) / (state.high - state.low)) * plotHeight();
const frameAt = (x) =>
  clamp(Math.floor(state.first + ((x - LEFT) / plotWidth()) * state.span), 0, state.curve.length - 1);
const noteAt = (y) => state.low + (1 - y / plotHeight()) * (state.high - state.low);

function draw() {
  if (!waiting) { waiting = true; requestAnimationFrame(paint); }
}

function paint() {
  waiting = false;
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  if (!state.curve.length || width <= LEFT) return;
  if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = HEIGHT * ratio; }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, HEIGHT);
  if (!colours.text) {
    const style = getComputedStyle(root);
    const named = (name, other) => style.getPropertyValue(name).trim() || other;
    colours = {
      text: style.color, line: named("--border-color-primary", "#888"), faint: named("--body-text-color-subdued", "#888"),
      accent: document.body.classList.contains("dark") ? "#a5b4fc" : "#4338ca", mark: named("--color-accent", "#6366f1"),
    };
  }
  pen.font = `11px ${getComputedStyle(root).fontFamily}`;
  paintGrid(width);
  if (state.selection) {
    pen.globalAlpha = 0.2;
    pen.fillStyle = colours.mark;
    const [from, to] = state.selection.map((frame) => clamp(xOf(frame), LEFT, width));
    pen.fillRect(from, 0, Math.max(1, to - from), plotHeight());
    pen.globalAlpha = 1;
  }
  paintCurve(state.measured, colours.faint, 1);
  paintCurve(state.curve, colours.accent, 2);
  const x = xOf(state.cursor + 0.5);
  if (x >= LEFT) { pen.fillStyle = colours.text; pen.fillRect(x, 0, 1, plotHeight()); }
  parts.scroll.max = Math.max(0, state.curve.length - state.span);
  parts.scroll.value = state.first;
  parts.scroll.setAttribute("aria-valuetext", clock(state.first));
  parts.scroll.disabled = state.span >= state.curve.length;
  parts.undo.disabled = !state.done.length;
  parts.redo.disabled = !state.undone.length;
}

function paintGrid(width) {
  const tall = plotHeight() / (state.high - state.low);
  for (let note = Math.ceil(state.low); note <= state.high; note++) {
    const isC = ((note % 12) + 12) % 12 === 0;
    if (!isC && tall < 5) continue;
    const y = yOf(note);
    pen.fillStyle = colours.line;
    pen.globalAlpha = isC ? 1 : 0.4;
    pen.fillRect(LEFT, y, width - LEFT, 1);
    pen.globalAlpha = 1;
    pen.fillStyle = colours.text;
    if (isC || tall > 14) pen.fillText(noteName(hertz(note)), 2, clamp(y + 4, 10, plotHeight()));
  }
  const seconds = state.span * state.step;
  const every = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300].find((s) => (s / seconds) * (width - LEFT) > 62) || 600;
  for (let at = Math.ceil((state.first * state.step) / every) * every; at <= (state.first + state.span) * state.step; at += every) {
    const x = xOf(at / state.step);
    pen.fillStyle = colours.line;
    pen.fillRect(x, 0, 1, plotHeight() + 4);
    pen.fillStyle = colours.text;
    if (x < width - 40) pen.fillText(clock(at / state.step).replace(/\.00$/, ""), x + 2, HEIGHT - 5);
  }
}

// Far away, each column of pixels shows the range of its frames; near, the frames are joined.
function paintCurve(curve, colour, thick) {
  const from = Math.max(0, Math.floor(state.first)), to = Math.min(curve.length, Math.ceil(state.first + state.span) + 1);
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = thick;
  if (state.span > 2 * plotWidth()) {
    const each = state.span / plotWidth();
    for (let column = 0; column < plotWidth(); column++) {
      let low = Infinity, high = 0;
      const stop = Math.min(curve.length, Math.floor(state.first + (column + 1) * each));
      for (let i = Math.floor(state.first + column * each); i < stop; i++) {
        const hz = curve[i];
        if (hz > 0) { if (hz < low) low = hz; if (hz > high) high = hz; }
      }
      if (high) { const top = yOf(midi(high)); pen.fillRect(LEFT + column, top, 1, Math.max(thick, yOf(midi(low)) - top)); }
    }
    return;
  }
  pen.beginPath();
  let inside = false;
  for (let i = from; i < to; i++) {
    if (!(curve[i] > 0)) { inside = false; continue; }
    const x = Math.max(LEFT, xOf(i + 0.5)), y = yOf(midi(curve[i]));
    if (!inside && !(curve[i + 1] > 0)) pen.fillRect(x, y, thick, thick);
    if (inside) pen.lineTo(x, y); else pen.moveTo(x, y);
    inside = true;
  }
  pen.stroke();
}

function tell(message = "") {
  if (!state.curve.length) return;
  const hz = state.curve[state.cursor];
  const here = hz > 0 ? `${noteName(hz)} ${hz.toFixed(1)} Hz` : say("unvoiced");
  const chosen = state.selection
    ? ` · ${say("chosen", { seconds: ((state.selection[1] - state.selection[0]) * state.step).toFixed(2) })}` : "";
  parts.status.textContent = `${clock(state.cursor)} · ${here}${chosen}${message ? ` · ${message}` : ""}`;
  draw();
}

// Changes

function change(from, to, values) {
  const before = state.curve.slice(from, to);
  if (before.every((hz, i) => hz === values[i])) return;
  state.done.push({ from, before, after: Float32Array.from(values) });
  if (state.done.length > MOST_UNDO) state.done.shift();
  state.undone = [];
  state.curve.set(values, from);
  state.touched = true;
}

function step(source, target, which) {
  const last = source.pop();
  if (!last) return;
  target.push(last);
  state.curve.set(last[which], last.from);
  state.touched = true;
  fit();
  tell();
}

const undo = () => step(state.done, state.undone, "before");
const redo = () => step(state.undone, state.done, "after");

// The selection, or the sung stretch that the cursor stands in.
function stretch() {
  if (state.selection) return state.selection;
  let from = state.cursor, to = state.cursor + 1;
  if (state.curve[state.cursor] > 0) {
    while (from > 0 && state.curve[from - 1] > 0) from--;
    while (to < state.curve.length && state.curve[to] > 0) to++;
  }
  return [from, to];
}

function edit(function_) {
  const [from, to] = stretch();
  change(from, to, function_(state.curve.slice(from, to), from));
  fit();
  tell();
}

const transpose = (semitones) => edit((part) => part.map((hz) => (hz > 0 ? hertz(midi(hz) + semitones) : 0)));
const fill = (hz) => edit((part) => part.fill(hz));
const restore = () => edit((part, from) => state.measured.slice(from, from + part.length));

// From the first to the last F0 of the stretch; with none inside, from the neighbours outside.
function straight() {
  edit((part, from) => {
    let first = part.find((hz) => hz > 0), last = part.findLast((hz) => hz > 0);
    for (let i = from; !first && i >= 0; i--) first = state.curve[i];
    for (let i = from + part.length - 1; !last && i < state.curve.length; i++) last = state.curve[i];
    first = first || last || 220;
    last = last || first;
    const each = (midi(last) - midi(first)) / Math.max(1, part.length - 1), begin = midi(first);
    return part.map((_, i) => hertz(begin + i * each));
  });
}

function select(a, b) {
  state.selection = [Math.min(a, b), Math.max(a, b) + 1];
}

function selectAll() {
  state.selection = [0, state.curve.length];
  tell();
}

function choose(name) {
  state.tool = name;
  parts.tools.forEach((made) => made.setAttribute("aria-pressed", String(made.dataset.do === name)));
  canvas.dataset.tool = name;
}

// Pointer

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: clamp(event.clientY - box.top, 0, plotHeight()) };
}

function pressed(event) {
  if (event.button || !state.curve.length) return;
  const { x, y } = place(event), frame = frameAt(x);
  const tool = event.shiftKey ? "select" : state.tool;
  canvas.setPointerCapture(event.pointerId);
  stroke = { tool, frame, note: noteAt(y), x, first: state.first, before: state.curve.slice(), from: frame, to: frame + 1 };
  state.cursor = frame;
  if (tool === "select") state.selection = null;
  follow(frame, stroke.note, x);
}

function moved(event) {
  if (!stroke) return;
  const { x, y } = place(event);
  follow(frameAt(x), noteAt(y), x);
}

function follow(frame, note, x) {
  if (stroke.tool === "select") { if (frame !== stroke.from) select(stroke.from, frame); }
  else if (stroke.tool === "move") {
    const frames = ((stroke.x - x) / plotWidth()) * state.span;
    state.first = clamp(stroke.first + frames, 0, state.curve.length - state.span);
  } else {
    const from = Math.min(stroke.frame, frame), to = Math.max(stroke.frame, frame);
    for (let i = from; i <= to; i++) {
      const share = frame === stroke.frame ? 1 : (i - stroke.frame) / (frame - stroke.frame);
      state.curve[i] = stroke.tool === "draw" ? hertz(stroke.note + share * (note - stroke.note)) : 0;
    }
    stroke.from = Math.min(stroke.from, from);
    stroke.to = Math.max(stroke.to, to + 1);
  }
  Object.assign(stroke, { frame, note });
  state.cursor = frame;
  tell();
}

function released() {
  if (!stroke) return;
  const { before, from, to, tool } = stroke;
  stroke = null;
  if (tool !== "draw" && tool !== "unvoice") return;
  const drawn = state.curve.slice(from, to);
  state.curve.set(before.subarray(from, to), from);
  change(from, to, drawn);
  fit();
  tell();
}

function wheeled(event) {
  if (event.ctrlKey) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, frameAt(place(event).x)); }
  else if (event.deltaX || event.shiftKey) {
    event.preventDefault();
    const share = (event.deltaX || event.deltaY) / plotWidth();
    state.first = clamp(state.first + share * state.span, 0, state.curve.length - state.span);
    draw();
  }
}

// Keys

function walk(frames, extend) {
  const before = state.cursor;
  state.cursor = clamp(state.cursor + frames, 0, state.curve.length - 1);
  if (extend) { state.anchor = state.anchor ?? before; select(state.anchor, state.cursor); }
  else { state.anchor = null; state.selection = null; }
  reveal();
  tell();
}

function typed(event) {
  if (!state.curve.length) return;
  const command = event.ctrlKey || event.metaKey, big = event.shiftKey, page = Math.round(state.span);
  const pace = command ? 1 : Math.max(1, Math.round(state.span / 100));
  const pitch = command ? 0.1 : big ? 12 : 1;
  const plain = {
    ArrowLeft: () => walk(-pace, big), ArrowRight: () => walk(pace, big),
    PageUp: () => walk(-page, big), PageDown: () => walk(page, big),
    Home: () => walk(-state.curve.length, big), End: () => walk(state.curve.length, big),
    ArrowUp: () => transpose(pitch), ArrowDown: () => transpose(-pitch),
    Delete: () => fill(0), Backspace: () => fill(0), Escape: () => walk(0, false),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), l: straight, r: restore,
  };
  const commands = { z: big ? redo : undo, y: redo, a: selectAll };
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = command && name.length === 1 ? commands[name] : plain[name];
  if (action) { event.preventDefault(); action(); }
}

// Giving it away

function use() {
  if (!state.curve.length) return;
  const f0_hz = Array.from(state.curve, (hz) => Math.round(hz * 100) / 100);
  props.value = JSON.stringify({ label: state.label, step: state.step, frames: f0_hz.length, f0_hz });
  state.touched = false;
  trigger("submit");
}

function save() {
  const lines = Array.from(state.curve, (hz, i) => `${(i * state.step).toFixed(6)},${hz > 0 ? `${hz.toFixed(4)},1` : "0,0"}`);
  const url = URL.createObjectURL(new Blob([`time,f0_hz,voiced\n${lines.join("\n")}\n`], { type: "text/csv" }));
  make("a", { href: url, download: `${state.label.replace(/\.csv$/i, "")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function listen() {
  if (sound) { sound.close(); sound = null; parts.listen.textContent = say("listen"); return; }
  let [from, to] = state.selection || [Math.floor(state.first), Math.ceil(state.first + state.span)];
  to = Math.min(to, state.curve.length, from + Math.round(LISTEN_SECONDS / state.step));
  sound = new AudioContext();
  const tone = sound.createOscillator(), gain = sound.createGain(), now = sound.currentTime + 0.05;
  tone.type = "triangle";
  gain.gain.value = 0;
  for (let i = from; i < to; i++) {
    const at = now + (i - from) * state.step, hz = state.curve[i];
    if (hz > 0) tone.frequency.setValueAtTime(hz, at);
    if (i === from || hz > 0 !== state.curve[i - 1] > 0) gain.gain.setTargetAtTime(hz > 0 ? 0.2 : 0, at, 0.005);
  }
  tone.connect(gain).connect(sound.destination);
  tone.start(now);
  tone.stop(now + (to - from) * state.step);
  parts.listen.textContent = say("stop");
  const mine = sound;
  tone.onended = () => { if (sound === mine) listen(); };
}

function given() {
  let data;
  try { data = JSON.parse(props.value || "null"); } catch { return; }
  if (!data || !data.words) return;
  state.words = data.words;
  if (!canvas) build();
  if (data.curve) load(data.curve, data.force);
}

watch("value", given);
given();
