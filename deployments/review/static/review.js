// The review page: a person looks, decides and moves on. Plain script; texts of the tables are only ever set as text.
"use strict";

/* ---------- Small things ---------- */

const $ = (id) => document.getElementById(id);
const where = new URLSearchParams(location.search);
const at = where.get("at") ?? where.get("target"); // a place that the report links to: a target, or slice: and its id
const startQueue = at?.startsWith("slice:") ? at : where.get("queue");
const startTarget = startQueue === at ? null : at;
const SETTINGS = document.body.dataset;
const OUTBOX = `trapaudit-answers-${SETTINGS.out}-${SETTINGS.who}`; // what one person could not send is not sent as another one's
const SETTLE_EVERY = 5; // answers after which it is counted anew what the slices still need
const AHEAD = 3; // screens made ready before they are wanted
const BLANK_WORDS = ["blank", "empty", "nothing", "none"];
const STATE_WORDS = { unknown: "unknown", blank: "no animal", unclear: "cannot be told" };

/** Address on this server; the token travels with it. */
function address(path, values = {}) {
  const made = new URL(path, location.origin);
  for (const [name, value] of Object.entries(values)) if (value !== null && value !== undefined) made.searchParams.set(name, value);
  if (where.get("token")) made.searchParams.set("token", where.get("token"));
  return made.pathname + made.search;
}

/** An element with properties, attributes (with a dash) and children; a text child is text, whatever is in it. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const bdi = (text) => el("bdi", {}, text);
/** A name for an entry. randomUUID is only there on this machine's own address: another one is no secure context without TLS. */
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
const percent = (share) => (share === null || share === undefined ? "" : `${share > 0 && share < 0.01 ? "<1" : Math.round(100 * share)} %`);
const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;

function say(text) {
  $("live").textContent = text;
}

function notice(text, ...buttons) {
  const line = el("p", { className: "notice" }, text, ...buttons);
  line.append(el("button", { type: "button", className: "quiet-button", onclick: () => line.remove() }, "Close"));
  for (const old of $("notices").querySelectorAll(":scope > :not(.kept)")) old.remove();
  $("notices").append(line);
  return line;
}

/** A notice about an answer that is not written: another one does not take its place. */
function lasting(text, ...buttons) {
  notice(text, ...buttons).classList.add("kept");
}

class Refused extends Error {
  constructor(status, body) {
    super(body.detail || body.error || `the server answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function ask(path, values, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(address(path, values), options);
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

/* ---------- Answers: kept in the browser until the server has them ---------- */

const outbox = {
  read: () => JSON.parse(localStorage.getItem(OUTBOX) || "[]"),
  write(waiting) {
    localStorage.setItem(OUTBOX, JSON.stringify(waiting));
    const n = waiting.length;
    $("saved").textContent = n ? `${plural(n, "answer waits", "answers wait")} to be sent` : "all answers saved";
    $("saved").classList.toggle("bad", n > 1);
  },
  add(entry) {
    this.write([...this.read(), entry]);
    this.send();
  },
  drop(key) {
    this.write(this.read().filter((entry) => entry.key !== key));
  },
  busy: false,
  pause: 0,
  async send() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let entry = this.read()[0]; entry; entry = this.read()[0]) await this.sendOne(entry);
      this.pause = 0;
    } catch (error) {
      this.pause = Math.min(30, 2 * (this.pause || 0.5));
      notice(`Not saved yet: ${error.message || "the server does not answer"}. Your answers are kept here and sent again; leave this page open or come back to it.`);
      setTimeout(() => this.send(), 1000 * this.pause);
    } finally {
      this.busy = false;
    }
  },
  async sendOne(entry) {
    try {
      const given = await ask("/api/labels", {}, entry.labels);
      this.drop(entry.key);
      const made = history_.find((one) => one.key === entry.key);
      if (made) made.import_id = given.import_id;
      if (history_.length % SETTLE_EVERY === 0) changes().then(progress);
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500 || [401, 403, 429].includes(error.status)) throw error;
      this.drop(entry.key); // it will never be taken as it is
      if (error.status === 409) offerBoth(entry, error);
      else lasting(`Not saved: ${entry.words}. ${error.message}`);
    }
  },
};

function offerBoth(entry, error) {
  const { other, target_id } = error.body;
  const labels = entry.labels.map((label) => (label.target_id === target_id || !label.replaces ? { ...label, replaces: other.import_id } : label));
  const again = () => outbox.add({ ...entry, key: newKey(), labels });
  lasting(
    `${error.message}. Your answer was ${entry.words}. `,
    el("button", { type: "button", onclick: (event) => (again(), event.target.parentElement.remove()) }, "Save mine as well"),
  );
}

/* ---------- State ---------- */

const history_ = []; // what was answered in this sitting, the last one last
const state = {
  queue: startQueue ?? (startTarget ? "next" : null),
  items: [],
  place: -1,
  screen: null,
  step: 0, // which animal of which frame
  layer: 0,
  filled: false,
  flank: null,
  frameOnly: false,
  box: null, // a box being drawn, or drawn for this animal
  drawing: false,
  shownAt: 0,
  answered: new Set(),
  skipped: new Set(),
  nDone: 0,
  nOpen: 0,
  changes: [], // slices that the answers of this sitting changed
};
const screens = new Map(); // target_id -> promise of its screen
const pictures = new Map(); // address -> picture that is loaded ahead
let names = [];

const steps = () => state.screen.frames.flatMap((frame) => (frame.targets.length ? frame.targets : [null]).map((target) => ({ frame, target })));
const current = () => steps()[Math.min(state.step, steps().length - 1)];
const isSingle = () => state.screen.frames.every((frame) => frame.targets.length <= 1);
const isWhole = () => isSingle() && !state.frameOnly && !state.box;

/** The name that Enter confirms: of the event, or of the one animal that is looked at. */
function offered() {
  const { target } = current();
  const one = isWhole() ? state.screen : target || {};
  return { name: one.predicted_id, probability: one.probability };
}

const candidates = () => {
  const { target } = current();
  return ((!isWhole() && target && target.candidates) || state.screen.candidates || []).slice(0, 5);
};

/* ---------- Getting screens ahead of the person ---------- */

function screenOf(item) {
  const key = item.target_id;
  if (!screens.has(key)) {
    const made = ask("/page/screen", { target: key, queue: state.queue });
    made.then((screen) => ready(firstPictures(screen)), () => screens.delete(key));
    screens.set(key, made);
  }
  return screens.get(key);
}

function firstPictures(screen) {
  if (screen.kind === "group") return screen.members.map((one) => one.picture.thumb);
  if (screen.kind === "pair") return screen.pair.map((one) => one.picture.screen);
  const place = startFrame(screen);
  return [screen.frames[place].picture.screen, ...screen.frames.map((frame) => frame.picture.thumb), ...(screen.references || []).flatMap((one) => one.pictures.map((picture) => picture.thumb))];
}

const startFrame = (screen) => Math.max(0, screen.frames.findIndex((frame) => frame.targets.some((target) => target.target_id === screen.target_id)));

/** Load and decode pictures before they are shown. */
function ready(paths) {
  for (const path of paths.filter(Boolean)) {
    if (pictures.has(path)) continue;
    const image = new Image();
    image.src = address(path);
    pictures.set(path, image);
    image.decode().catch(() => pictures.delete(path));
  }
  for (const path of [...pictures.keys()].slice(0, Math.max(0, pictures.size - 160))) pictures.delete(path);
}

let refilling = null;
function refill() {
  refilling ??= (async () => {
    try {
      const n = Math.min(100, (state.queue === "candidates" ? 60 : 8) + state.skipped.size + outbox.read().length);
      const onTheirWay = outbox.read().flatMap((entry) => entry.labels.map((label) => label.target_id));
      const found = await ask("/api/next", { queue: state.queue, n });
      const known = new Set([...onTheirWay, ...state.items.flatMap((item) => [item.target_id, item.group])]);
      const fresh = found.filter((item) => {
        if (known.has(item.target_id) || state.answered.has(item.target_id) || (item.group && known.has(item.group))) return false;
        known.add(item.group ?? item.target_id); // a group is one screen
        return true;
      });
      state.items.push(...fresh);
      return fresh.length;
    } finally {
      refilling = null;
    }
  })();
  return refilling;
}

function lookAhead() {
  for (const item of state.items.slice(state.place + 1, state.place + 1 + AHEAD)) screenOf(item).catch(() => {});
  if (state.items.length - state.place <= AHEAD + 1) refill().then((n) => n && lookAhead(), () => {});
}

/* ---------- Moving ---------- */

async function next() {
  const from = state.place;
  let place = from + 1;
  while (place < state.items.length && state.answered.has(state.items[place].target_id)) place++;
  if (place >= state.items.length) {
    try {
      await refill();
    } catch (error) {
      return void notice(`The next picture cannot be had: ${error.message}.`, el("button", { type: "button", onclick: next }, "Try again"));
    }
    if (state.place !== from) return; // a second key went on in the meantime
    place = Math.max(0, state.items.findIndex((item, i) => i >= place && !state.answered.has(item.target_id)));
    if (place < state.items.length && state.items.length && !state.answered.has(state.items[place].target_id) && place > state.place) return go(place);
    return finish();
  }
  return go(place);
}

async function go(place) {
  state.place = place;
  const item = state.items[place];
  let screen;
  try {
    screen = await screenOf(item);
  } catch (error) {
    return void notice(`This picture cannot be shown: ${error.message}. `, el("button", { type: "button", onclick: () => go(place) }, "Try again"), el("button", { type: "button", onclick: skip }, "Skip"));
  }
  if (state.place !== place) return; // gone on in the meantime
  Object.assign(state, { screen, layer: 0, filled: false, flank: null, frameOnly: false, box: null, drawing: false, shownAt: performance.now(), picked: new Set() });
  state.step = screen.kind === "event" ? Math.max(0, steps().findIndex(({ target }) => target && target.target_id === screen.target_id)) : 0;
  view.reset();
  draw();
  lookAhead();
}

function finish() {
  state.screen = null;
  show("finished");
  const n = state.skipped.size;
  $("finished-words").textContent = n ? `Nothing else is open here; ${plural(n, "picture was", "pictures were")} skipped.` : "Nothing is open here any more.";
  $("again").hidden = !n;
  document.body.dataset.shown = "finished";
  changes();
}

/* ---------- Answering ---------- */

/** What a name given by hand is for the server. */
function choiceOf(name) {
  if (BLANK_WORDS.includes(name.toLowerCase())) return { state: "blank" };
  return name === "unknown" ? { state: "unknown" } : { individual_id: name };
}

const wordsOf = (choice) => choice.individual_id ?? STATE_WORDS[choice.state];

function answer(choice) {
  if (!state.screen || state.screen.kind !== "event") return;
  const here = current();
  const wanted = isWhole() ? steps().filter(({ target }) => target) : [here];
  const beside = isWhole() || choice.state !== "blank" ? [] : here.frame.targets.filter((target) => target !== here.target);
  if (beside.some((target) => target.answer && target.answer !== STATE_WORDS.blank))
    return void notice("No animal means the whole picture, and another animal in it has its answer: take X for a box around no animal, or undo that answer.");
  for (const target of beside) target.answer = STATE_WORDS.blank; // it is of the whole picture
  save(choice, wanted.map(({ frame, target }) => ({ target_id: target ? target.target_id : frame.media_id })), isWhole());
  if (isWhole()) return void next();
  if (here.target) here.target.answer = wordsOf(choice);
  state.box = null;
  const open = steps().findIndex(({ target }, i) => i > state.step && target && !target.answer);
  if (open < 0) return void next();
  lookAt(open);
}

/** Queue labels for sending, and remember them for undo. */
function save(choice, targets, isWholeEvent) {
  const seconds = Math.round(100 * (performance.now() - state.shownAt)) / 100000;
  const item = state.items[state.place];
  const extra = { seconds, ...(state.flank && choice.individual_id ? { flank: state.flank } : {}), ...(state.box ? { box: state.box } : {}) };
  if (item.queue) extra.queue = item.queue;
  if (onEvent()) extra.shown = candidates().map((one) => one.individual_id);
  const entry = { key: newKey(), words: wordsOf(choice), labels: targets.map((target) => ({ ...choice, ...target, ...extra })) };
  history_.push({ key: entry.key, place: state.place, step: state.step, target_id: item.target_id, import_id: null, was: state.answered.has(item.target_id) });
  if (isWholeEvent || onEvent() && steps().every(({ target }) => !target || target.answer || targets.some((one) => one.target_id === target.target_id))) {
    if (!state.answered.has(item.target_id)) state.nDone++;
    state.answered.add(item.target_id);
    for (const target of targets) state.answered.add(target.target_id);
  }
  outbox.add(entry);
  const n = targets.length;
  $("last").replaceChildren("Last: ", bdi(entry.words), n > 1 ? ` for ${n} pictures` : "");
  say(`${entry.words} saved`);
  state.shownAt = performance.now();
  progress();
}

async function undo() {
  const last = history_.pop();
  if (!last) return undoEarlier();
  if (outbox.read().some((entry) => entry.key === last.key) && !outbox.busy) outbox.drop(last.key);
  else {
    try {
      for (let i = 0; i < 100 && !last.import_id; i++) await new Promise((done) => setTimeout(done, 50)); // it is on its way
      await ask("/api/undo", {}, { import_id: last.import_id });
    } catch (error) {
      history_.push(last);
      return void notice(`Not undone: ${error.message}`);
    }
  }
  if (state.answered.delete(last.target_id) && !last.was) state.nDone--;
  await showUndone(last.place);
  if (state.screen && state.screen.kind === "event") lookAt(last.step);
  progress();
}

/** Show a picture again whose answer was taken back. */
async function showUndone(place) {
  screens.delete(state.items[place].target_id);
  await go(place);
  $("last").textContent = "Undone";
  say("Undone");
}

/** Take back the newest answer from before the page was opened. */
async function undoEarlier() {
  try {
    const last = await ask("/page/last");
    if (!last.import_id) return void say("Nothing to undo");
    await ask("/api/undo", {}, { import_id: last.import_id });
    state.answered.delete(last.target_id);
    state.queue ??= "next";
    const place = Math.max(0, state.place);
    state.items.splice(place, 0, { target_id: last.target_id });
    await showUndone(place);
  } catch (error) {
    notice(`Not undone: ${error.message}`);
  }
}

function skip() {
  const item = state.items[state.place];
  if (!item) return;
  for (const one of [item, ...(state.screen?.members ?? [])]) {
    state.skipped.add(one.target_id);
    state.answered.add(one.target_id);
  }
  $("last").textContent = "Skipped";
  next();
}

/* ---------- The large picture: zoom, pan, brightness, layers, boxes ---------- */

const view = {
  scale: 1,
  x: 0,
  y: 0,
  pointers: new Map(),
  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.apply();
  },
  apply() {
    const { width, height } = $("stage").getBoundingClientRect();
    this.x = Math.min(0, Math.max(width * (1 - this.scale), this.x));
    this.y = Math.min(0, Math.max(height * (1 - this.scale), this.y));
    $("lens").style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    $("zoom").textContent = `${Math.round(100 * this.scale)} %`;
    if (this.scale > 1.5) sharpen();
  },
  /** Zoom by a factor; the point of the stage at x, y stays where it is. */
  zoom(factor, x, y) {
    const { width, height } = $("stage").getBoundingClientRect();
    const [atX, atY] = [x ?? width / 2, y ?? height / 2];
    const scale = Math.min(16, Math.max(1, this.scale * factor));
    this.x = atX - ((atX - this.x) * scale) / this.scale;
    this.y = atY - ((atY - this.y) * scale) / this.scale;
    this.scale = scale;
    this.apply();
  },
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  },
  at(event) {
    const box = $("stage").getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  },
};

/** Replace the large picture by one in all its pixels. */
function sharpen() {
  if (!state.screen || state.screen.kind !== "event" || layers()[state.layer].picture) return;
  const { frame } = current();
  if ($("picture").dataset.full === frame.media_id) return;
  $("picture").dataset.full = frame.media_id;
  const large = new Image();
  large.src = address(frame.picture.full);
  large.decode().then(() => current().frame === frame && $("picture").dataset.full === frame.media_id && ($("picture").src = large.src), () => {});
}

const layers = () => {
  const { frame, target } = current();
  return [{ kind: "picture", title: "Picture", words: frame.words }, ...((target && target.layers) || [])];
};

function cycle(by) {
  if (!state.screen || state.screen.kind !== "event") return;
  const n = layers().length;
  if (n === 1) return say("Nothing but the picture is known of this one");
  state.layer = (state.layer + by + n) % n;
  drawStage();
  say(`${layers()[state.layer].title}: ${layers()[state.layer].words || ""}`);
}

function fill() {
  if (!layers()[state.layer].fill) {
    const place = layers().findIndex((layer) => layer.fill);
    if (place < 0) return say("No evidence is known of this picture");
    state.layer = place;
    state.filled = false;
  }
  state.filled = !state.filled;
  drawStage();
}

/** Show a picture by its address; a picture that cannot be had leaves its reason. */
function showPicture(image, path, alt, missing) {
  const src = address(path);
  image.alt = alt;
  if (image.getAttribute("src") === src) return;
  missing.hidden = true;
  image.hidden = false;
  image.onerror = async () => {
    const answer = await fetch(src).catch(() => null);
    image.hidden = true;
    missing.hidden = false;
    missing.textContent = answer && !answer.ok ? (await answer.json().catch(() => ({}))).detail || "no picture" : "no picture: the server does not answer";
    const button = image.closest("button"); // its name begins with what is read on it
    if (button) button.setAttribute("aria-label", `${[...button.querySelectorAll("span")].map((one) => one.textContent).join(" ")}, ${alt}`);
  };
  image.src = src;
}

function drawStage() {
  const { frame, target } = current();
  const shown = layers()[state.layer] || layers()[0];
  const path = shown.picture || frame.picture.screen;
  delete $("picture").dataset.full;
  $("sheet").style.setProperty("--ratio", String(frame.width / frame.height));
  $("picture").onload = () => shown.picture && $("sheet").style.setProperty("--ratio", String($("picture").naturalWidth / $("picture").naturalHeight));
  showPicture($("picture"), path, shown.picture ? `${shown.title}, ${frame.alt}` : frame.alt, $("missing"));
  $("overlay").hidden = !shown.outline;
  if (shown.outline) showPicture($("overlay"), state.filled ? shown.fill : shown.outline, `${shown.title} of ${frame.alt}`, el("p"));
  drawBoxes(shown.picture ? null : frame, target);
  $("layers").replaceChildren(
    ...layers().map((layer, place) =>
      el("button", { type: "button", "aria-pressed": String(place === state.layer), onclick: () => ((state.layer = place), drawStage()) }, layer.title)),
    el("button", { type: "button", "aria-pressed": String(state.filled), disabled: !shown.fill, onclick: fill }, "Fill ", el("kbd", {}, "H")),
  );
  $("layer-words").replaceChildren(shown.words ? bdi(shown.words) : "");
  const ready_ = () => {
    if (!onEvent() || current().frame !== frame) return;
    document.body.dataset.shown = state.items[state.place].target_id;
    ready(layers().map((layer) => layer.outline)); // what the network saw costs the server more: once somebody looks at evidence
    if (state.layer) ready(layers().map((layer) => layer.picture));
  };
  $("picture").decode().then(ready_, ready_);
}

function drawBoxes(frame, target) {
  const made = [];
  const rect = (box, kind) => {
    const [x, y, width, height] = box.map((share) => 1000 * share);
    const one = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x, y, width, height, class: kind })) one.setAttribute(name, value);
    return one;
  };
  if (frame) for (const one of frame.targets) if (one.box && !(state.box && one === target)) {
    const drawn = rect(one.box, one === target ? "box here" : "box");
    drawn.addEventListener("click", () => lookAt(steps().findIndex((step) => step.target === one)));
    made.push(drawn);
  }
  if (frame && state.box) made.push(rect(state.box, "box drawn"));
  $("boxes").replaceChildren(...made);
}

/* A box drawn by hand: by dragging, or by the arrows (with Shift its size); Enter keeps it. */
function drawBox(on) {
  state.drawing = on;
  if (on) {
    const { target } = current();
    state.layer = 0;
    view.reset();
    state.box ??= (target && target.box) || [0.25, 0.25, 0.5, 0.5];
    say("Drag a box around the animal, or move it by the arrows and size it by Shift and the arrows; Enter keeps it, Escape drops it");
  }
  $("stage").classList.toggle("drawing", on);
  draw();
}

function moveBox(event) {
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const [x, y, width, height] = state.box;
  const [dx, dy] = by.map((one) => one * 0.02);
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  state.box = event.shiftKey
    ? [x, y, within(width + dx, 0.02, 1 - x), within(height + dy, 0.02, 1 - y)]
    : [within(x + dx, 0, 1 - width), within(y + dy, 0, 1 - height), width, height];
  drawBoxes(current().frame, current().target);
}

function share(event) {
  const box = $("sheet").getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, value));
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

function listenStage() {
  const stage = $("stage");
  let corner = null;
  let apart = 0;
  stage.addEventListener("wheel", (event) => (event.preventDefault(), view.zoom(Math.exp(-event.deltaY / 400), ...view.at(event))), { passive: false });
  stage.addEventListener("dblclick", (event) => !state.drawing && view.zoom(view.scale > 1.2 ? 1 / view.scale : 3, ...view.at(event)));
  stage.addEventListener("pointerdown", (event) => {
    view.pointers.set(event.pointerId, event);
    apart = 0;
    if (state.drawing) {
      corner = share(event);
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  });
  stage.addEventListener("pointermove", (event) => {
    const before = view.pointers.get(event.pointerId);
    if (!before) return;
    view.pointers.set(event.pointerId, event);
    if (corner) {
      const [x, y] = share(event);
      state.box = [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.max(0.01, Math.abs(x - corner[0])), Math.max(0.01, Math.abs(y - corner[1]))];
      return drawBoxes(current().frame, current().target);
    }
    const [one, two] = [...view.pointers.values()];
    if (!two) return view.scale > 1 && (stage.setPointerCapture(event.pointerId), view.pan(event.clientX - before.clientX, event.clientY - before.clientY));
    const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    if (apart) view.zoom(now / apart, ...view.at({ clientX: (one.clientX + two.clientX) / 2, clientY: (one.clientY + two.clientY) / 2 }));
    apart = now;
  });
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => (view.pointers.delete(event.pointerId), (corner = null), (apart = 0)));
  $("bright").addEventListener("input", () => lighten(0));
}

function lighten(by) {
  if (by) $("bright").value = Number($("bright").value) + by;
  $("picture").style.filter = Number($("bright").value) === 1 ? "" : `brightness(${$("bright").value})`;
}

/* ---------- Drawing a screen ---------- */

function show(id) {
  for (const one of ["home", "event", "group", "pair", "finished"]) $(one).hidden = one !== id;
}

function lookAt(place) {
  if (place < 0 || place >= steps().length) return;
  state.step = place;
  state.box = null;
  state.layer = 0;
  view.reset();
  draw();
}

function draw() {
  const screen = state.screen;
  show(screen.kind);
  $("where").replaceChildren(bdi(screen.where));
  if (screen.kind === "group") drawGroup(screen);
  else if (screen.kind === "pair") drawPair(screen);
  else drawEvent(screen);
  progress();
}

function drawEvent(screen) {
  const { name, probability } = offered();
  $("name").replaceChildren(name ? bdi(name) : "no name");
  $("probability").textContent = name === "unknown" ? "" : percent(probability); // it is that of the likeliest name
  $("scope").textContent = scopeWords();
  $("only").setAttribute("aria-pressed", String(state.frameOnly));
  $("only").hidden = !isSingle() || screen.frames.length < 2;
  $("draw").setAttribute("aria-pressed", String(state.drawing));
  for (const side of ["left", "right"]) $(side).setAttribute("aria-pressed", String(state.flank === side));
  $("confirm").disabled = !name;
  $("confirm").replaceChildren("Confirm ", name ? bdi(name) : "", " ", el("kbd", {}, "Enter"));
  $("candidates").replaceChildren(...candidates().map((one, place) => candidate(one, place)));
  $("reasons").replaceChildren(...screen.reasons.map((words) => el("li", {}, bdi(words))));
  $("said").replaceChildren(...(screen.said || []).map((words) => el("li", {}, bdi(words))));
  $("said-part").hidden = !(screen.said || []).length;
  $("slices").replaceChildren(...screen.slices.map((one) => el("li", {}, el("a", { href: address("/", { queue: one.queue }) }, bdi(one.title)), el("span", { className: "quiet" }, ` ${one.words}`))));
  $("slices-part").hidden = !screen.slices.length;
  drawReferences(screen.references);
  drawStrip(screen);
  drawStage();
}

function scopeWords() {
  const { target } = current();
  if (isWhole()) return state.screen.frames.length > 1 ? `for all ${state.screen.frames.length} frames of this event` : "for this picture";
  if (isSingle()) return "for this frame only";
  const all = steps().filter((step) => step.target);
  return `for animal ${all.findIndex((step) => step.target === target) + 1} of ${all.length} in this event`;
}

const candidate = (one, place) =>
  el("li", {}, el("button", { type: "button", className: "candidate", onclick: () => answer(choiceOf(one.individual_id)) },
    el("kbd", {}, String(place + 1)), bdi(one.individual_id),
    el("span", { className: "share", "aria-hidden": "true" }, bar(one.probability)), el("span", { className: "num" }, percent(one.probability))));

function bar(probability) {
  const made = el("span", { className: "bar" });
  made.style.width = `${Math.round(100 * (probability || 0))}%`;
  return made;
}

function drawReferences(references) {
  $("references").replaceChildren(...references.map((one) =>
    el("li", {}, el("p", { className: "who" }, bdi(one.individual_id), one.words ? el("span", { className: "quiet" }, ` ${one.words}`) : ""),
      one.pictures.length
        ? el("div", { className: "few" }, ...one.pictures.map((picture) => thumb(picture, () => enlarge(picture))))
        : el("p", { className: "quiet" }, "no labelled picture yet"))));
  $("references-part").hidden = !references.length;
}

/** A small picture as a button. */
function thumb(picture, onclick, more = {}) {
  const image = el("img", { loading: "eager", width: 160, height: 120, alt: picture.alt });
  const missing = el("span", { className: "missing", hidden: true });
  showPicture(image, picture.thumb, picture.alt, missing);
  return el("button", { type: "button", className: "thumb", onclick, "aria-label": picture.alt + (picture.note ? `, ${picture.note}` : ""), ...more }, image, missing, picture.note ? el("span", { className: "note" }, bdi(picture.note)) : null);
}

function enlarge(picture) {
  showPicture($("large"), picture.screen, picture.alt, $("large-missing"));
  $("large-words").replaceChildren(bdi(picture.alt));
  $("enlarged").showModal();
}

function drawStrip(screen) {
  const here = current();
  $("strip").replaceChildren(...screen.frames.map((frame) => {
    const place = steps().findIndex((step) => step.frame === frame);
    const said = frame.targets.map((target) => target.answer || target.predicted_id || "no name");
    const differs = frame.targets.some((target) => target.predicted_id !== screen.predicted_id);
    const picture = { thumb: frame.picture.thumb, alt: frame.alt, note: said.join(", ") };
    return el("li", {}, thumb(picture, () => lookAt(place), { "aria-current": String(frame === here.frame), className: differs ? "thumb differs" : "thumb" }));
  }));
  $("strip").hidden = screen.frames.length < 2;
}

function progress() {
  const all = state.nDone + state.nOpen;
  $("progress").max = Math.max(1, all);
  $("progress").value = state.nDone;
  $("progress-words").textContent = state.queue ? `${state.nDone} of ${all} answered` : "";
  const settle = state.screen && state.screen.settle;
  const now = settle && state.changes.find((one) => `slice:${one.slice_id}` === settle.queue);
  $("settle").replaceChildren(settle ? bdi(now ? now.sentence : `${settle.title}: ${settle.words}`) : "");
}

/* ---------- A group of unknowns, and two pictures side by side ---------- */

function drawGroup(screen) {
  $("group-words").replaceChildren(bdi(screen.words));
  $("members").replaceChildren(...screen.members.map((member, place) => {
    const id = `member-${place}`;
    const box = el("input", { type: "checkbox", id, checked: state.picked.has(place), onchange: () => (box.checked ? state.picked.add(place) : state.picked.delete(place), groupWords(screen)) });
    return el("li", {}, thumb({ ...member.picture, note: null }, () => enlarge(member.picture)), el("label", { htmlFor: id }, box, " ", bdi(member.words)));
  }));
  $("others").replaceChildren(...(screen.others || []).map((other) =>
    el("li", {}, thumb({ ...other.picture, note: other.words }, () => merge(other)))));
  $("others-part").hidden = !(screen.others || []).length;
  groupWords(screen);
  document.body.dataset.shown = screen.target_id;
}

const groupTargets = (picked) => state.screen.members.filter((_, place) => state.picked.has(place) === picked).map((member) => ({ target_id: member.target_id }));

function groupWords(screen) {
  const [n, all] = [state.picked.size, screen.members.length];
  $("name-group").textContent = n ? `Name the other ${all - n}` : `Name all ${all}`;
  $("name-group").disabled = n === all;
  $("split").textContent = n ? `Name the ${n} marked` : "Mark those that do not belong";
  $("split").disabled = !n;
}

/** Name a part of the group; what is named leaves the screen. */
function nameGroup(picked) {
  const targets = groupTargets(picked);
  if (!targets.length) return;
  chooseName("group", (choice) => {
    const gone = new Set(targets.map((target) => target.target_id));
    const left = state.screen.members.filter((member) => !gone.has(member.target_id));
    save(choice, targets, !left.length);
    state.picked = new Set();
    if (!left.length) return void next();
    state.screen.members = left;
    draw();
  });
}

async function merge(other) {
  const screen = await ask("/page/screen", { target: other.target_id, queue: state.queue });
  const known = new Set(state.screen.members.map((member) => member.target_id));
  state.screen.members.push(...screen.members.filter((member) => !known.has(member.target_id)));
  state.screen.others = state.screen.others.filter((one) => one.target_id !== other.target_id);
  draw();
  say(`${plural(screen.members.length, "picture", "pictures")} added to this group`);
}

function drawPair(screen) {
  $("two").replaceChildren(...screen.pair.map((one) =>
    el("li", {}, thumb({ ...one.picture, thumb: one.picture.screen, note: null }, () => enlarge(one.picture)), el("p", {}, bdi(one.words)))));
  $("pair-words").replaceChildren(bdi(screen.words));
  document.body.dataset.shown = screen.target_id;
}

function answerPair(said) {
  const { individual_id, target_id } = state.screen;
  save(said === "same" ? { individual_id } : { state: "unclear" }, [{ target_id }], true);
  next();
}

/** Not the same individual: who it is then is asked on a screen of its own. */
async function different() {
  const { individual_id, target_id } = state.screen;
  try {
    const screen = await ask("/page/screen", { target: target_id });
    screen.reasons.unshift(`you said that it is not ${individual_id}`);
    Object.assign(state, { screen, step: Math.max(0, screen.frames.findIndex((frame) => frame.targets.some((one) => one.target_id === target_id))) });
    view.reset();
    draw();
  } catch (error) {
    notice(`This picture cannot be shown: ${error.message}.`);
  }
}

/* ---------- Choosing a name ---------- */

const chooser = { found: [], at: 0, give: null, kind: "search" };

/** Open the list of names: `search` for known ones, `new` for one that nobody has yet, `group` for either. */
function chooseName(kind, give, typed = "") {
  Object.assign(chooser, { kind, give, at: 0, near: [] });
  titleChooser();
  $("typed").value = typed;
  $("warning").replaceChildren();
  $("chooser").showModal();
  $("typed").focus();
  drawFound();
  if (kind !== "search") nearOnes();
}

function titleChooser() {
  $("chooser-title").textContent = { search: "Which individual is it?", new: "A new individual", group: "Name these pictures" }[chooser.kind];
}

function drawFound() {
  const typed = $("typed").value.trim().toLowerCase();
  const known = chooser.kind === "group" && !names.includes("unknown") ? ["unknown", ...names] : names;
  const fits = known.filter((name) => name.toLowerCase().includes(typed));
  const starts = (name) => !name.toLowerCase().startsWith(typed);
  chooser.found = (chooser.kind === "new" && !typed ? [] : fits.sort((a, b) => starts(a) - starts(b))).slice(0, 12);
  chooser.at = Math.min(chooser.at, Math.max(0, chooser.found.length - 1));
  $("found").replaceChildren(...chooser.found.map((name, place) => {
    const one = el("li", { id: `found-${place}`, role: "option", "aria-selected": String(place === chooser.at && chooser.kind !== "new") }, bdi(name));
    one.addEventListener("click", () => take(name));
    return one;
  }));
  $("typed").setAttribute("aria-activedescendant", chooser.found.length && chooser.kind !== "new" ? `found-${chooser.at}` : "");
  $("typed").setAttribute("aria-expanded", String(chooser.found.length > 0));
  const own = $("typed").value.trim();
  $("new-name").hidden = !own || names.includes(own);
  $("new-name").replaceChildren("New individual “", bdi(own), "”");
}

/** Known ones and candidates that are near what is typed or near this picture, with their pictures. */
async function nearOnes() {
  const typed = $("typed").value.trim();
  const item = state.items[state.place];
  const found = await ask("/page/near", { name: typed, target: item.target_id }).catch(() => []);
  if ($("typed").value.trim() !== typed || !$("chooser").open) return;
  chooser.near = found;
  $("warning").replaceChildren(...found.map((one) =>
    el("p", { className: "near" }, one.picture ? thumb({ ...one.picture, note: null }, () => (one.candidate_id ? enlarge(one.picture) : take(one.individual_id))) : "",
      el("span", {}, "Is it ", bdi(one.individual_id ?? one.candidate_id), "? ", one.words, one.candidate_id ? el("a", { href: address("/", { queue: "candidates" }) }, " Show them") : ""))));
}

function take(name) {
  $("chooser").close();
  if (!names.includes(name) && !["unknown", ...BLANK_WORDS].includes(name)) names = [...names, name].sort();
  chooser.give(choiceOf(name));
}

function takeTyped() {
  const own = $("typed").value.trim();
  const chosen = chooser.found[chooser.at];
  if (chosen && chooser.kind !== "new") return take(chosen);
  if (chooser.kind !== "search") return own && take(own);
  Object.assign(chooser, { kind: "new" }); // nobody is called so yet: near ones are shown before it is taken
  titleChooser();
  drawFound();
  nearOnes();
}

function listenChooser() {
  $("typed").addEventListener("input", () => {
    chooser.at = 0;
    drawFound();
    if (chooser.kind !== "search") nearOnes();
  });
  $("typed").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      chooser.at = Math.max(0, Math.min(chooser.found.length - 1, chooser.at + by));
      drawFound();
    }
  });
  $("chooser-form").addEventListener("submit", (event) => (event.preventDefault(), takeTyped()));
  $("new-name").addEventListener("click", () => take($("typed").value.trim()));
}

/* ---------- Keys ---------- */

const onEvent = () => state.screen && state.screen.kind === "event";
const KEYS = {
  Enter: () => (state.drawing ? drawBox(false) : offered().name ? answer(choiceOf(offered().name)) : chooseName("search", answer)),
  " ": () => cycle(1),
  h: fill,
  u: () => answer({ state: "unknown" }),
  b: () => answer({ state: "blank" }),
  x: () => answer({ state: "unclear" }),
  n: () => chooseName("new", answer),
  l: () => setFlank("left"),
  r: () => setFlank("right"),
  f: () => ((state.frameOnly = !state.frameOnly), draw()),
  d: () => drawBox(!state.drawing),
  "/": () => chooseName("search", answer),
  "+": () => view.zoom(1.5),
  "=": () => view.zoom(1.5),
  "-": () => view.zoom(1 / 1.5),
  0: () => view.reset(),
  ".": () => lighten(0.25),
  ",": () => lighten(-0.25),
  ArrowLeft: () => lookAt(state.step - 1),
  ArrowRight: () => lookAt(state.step + 1),
};
const ALWAYS = {
  z: undo,
  s: () => state.screen && skip(),
  ArrowUp: () => state.place > 0 && go(state.place - 1),
  ArrowDown: () => state.place + 1 < state.items.length && go(state.place + 1),
  "?": () => $("help").showModal(),
};
const OF_PAIRS = { y: () => answerPair("same"), n: different, x: () => answerPair("unclear") };
const OF_GROUPS = { Enter: () => nameGroup(false), n: () => nameGroup(true) };

/** The side of the animal; pictures of the same side are then shown first. */
async function setFlank(side) {
  state.flank = state.flank === side ? null : side;
  draw();
  const { screen, flank } = state;
  const found = await ask("/page/references", { target: screen.target_id, flank }).catch(() => null);
  if (found && state.screen === screen && state.flank === flank) drawReferences((screen.references = found));
}

function keysOf() {
  if (!state.screen) return {};
  return { event: KEYS, pair: OF_PAIRS, group: OF_GROUPS }[state.screen.kind];
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  // A field keeps the focus for a moment after its dialog closed: what nobody sees takes no keys.
  if (event.target.matches("input[type=text], select, textarea") && event.target.checkVisibility()) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // What is a control's own.
  if (["Enter", " "].includes(key) && event.target.closest("button, a, summary")) return;
  if (key === " " && event.target.matches("input[type=checkbox]")) return;
  if (key.startsWith("Arrow") && event.target.matches("input[type=range]")) return;
  if (key !== "?" && key.length === 1 && !$("keys-on").checked) return;
  if (state.drawing && key.startsWith("Arrow")) return void (event.preventDefault(), moveBox(event));
  if (state.drawing && key === "Escape") return void ((state.box = null), drawBox(false));
  if (event.shiftKey && key.startsWith("Arrow") && onEvent()) {
    const [dx, dy] = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] }[key];
    return void (event.preventDefault(), view.pan(dx, dy));
  }
  if (onEvent() && /^[1-5]$/.test(key)) return void (candidates()[key - 1] && answer(choiceOf(candidates()[key - 1].individual_id)));
  const act = keysOf()[key] || ALWAYS[key];
  if (act) {
    event.preventDefault();
    act();
  } else if (onEvent() && /^\p{L}$/u.test(key)) {
    event.preventDefault();
    chooseName("search", answer, event.key);
  }
}

/* ---------- The first page, and what changed ---------- */

const openWords = (queue) => (queue.is_counted ? `${queue.n_open} open` : "being counted") + (queue.n_done ? `, ${queue.n_done} answered` : "");

/** The numbers of slices whose pictures were still being looked for. */
async function recount() {
  const found = await ask("/page/home").catch(() => []);
  const counts = document.querySelectorAll("#queues .count");
  if (found.length === counts.length) found.forEach((queue, place) => (counts[place].textContent = openWords(queue)));
  if (found.some((queue) => !queue.is_counted)) setTimeout(recount, 2000);
}

async function home() {
  show("home");
  try {
    const found = await ask("/page/home");
    $("queues").replaceChildren(...found.map((queue) =>
      el("li", { className: "card" },
        el("h3", {}, el("a", { href: address("/", { queue: queue.queue }) }, bdi(queue.title))),
        el("p", {}, bdi(queue.words)),
        el("p", { className: "quiet count" }, openWords(queue)))));
    if (found.some((queue) => !queue.is_counted)) setTimeout(recount, 2000);
    if (!found.length) $("queues").replaceChildren(el("li", { className: "card" }, "Nothing waits for a person here."));
    document.body.dataset.shown = "home";
  } catch (error) {
    notice(`The queues cannot be had: ${error.message}`, el("button", { type: "button", onclick: home }, "Try again"));
  }
  changes();
  agreement();
}

/** How well two people agree who named the same pictures. */
async function agreement() {
  const { pairs } = await ask("/api/agreement").catch(() => ({ pairs: [] }));
  $("agreement").replaceChildren(...pairs.map((one) => {
    const kappa = one.kappa === null ? "" : `; Cohen's kappa ${one.kappa.toFixed(2)} (${one.low.toFixed(2)} to ${one.high.toFixed(2)})`;
    return el("li", {}, bdi(one.first ?? "somebody"), " and ", bdi(one.second ?? "somebody"), `: ${one.n_agree} of ${one.n} alike${kappa}`);
  }));
  $("agreement-part").hidden = !pairs.length;
}

/** What the answers changed. */
async function changes() {
  showChanges(await ask("/api/changes").catch(() => state.changes));
}

function showChanges(found) {
  state.changes = found;
  const lines = found.map((one) => el("li", {}, bdi(one.sentence)));
  for (const id of ["changes", "changes-too"]) $(id).replaceChildren(...lines.map((line) => line.cloneNode(true)));
  for (const id of ["changes-part", "changes-part-too"]) $(id).hidden = !lines.length;
}

/** Write errors, slices and the report anew; a person may go on meanwhile. */
async function done() {
  const words = (...parts) => document.querySelectorAll(".done-words").forEach((one) => one.replaceChildren(...parts.map((part) => part.cloneNode?.(true) ?? part)));
  const buttons = document.querySelectorAll("button.done");
  for (const one of buttons) one.disabled = true;
  words("Errors and slices are counted anew; you can go on meanwhile.");
  try {
    const found = await ask("/api/done", {}, {});
    showChanges(found.changes);
    if (found.is_new) words("Written: ", el("a", { href: address("/report") }, "the new report"), ".");
    else words("Nothing was answered since the report.");
  } catch (error) {
    words(`Not written: ${error.message}. Your answers are in OUT; try again, or run trapaudit report.`);
  } finally {
    for (const one of buttons) one.disabled = false;
  }
}

async function work() {
  document.body.classList.add("working");
  if (startTarget) state.items.push({ target_id: startTarget });
  if (state.queue.startsWith("slice:")) await refill().catch(() => {}); // its pictures are looked for before they are counted
  const queues = await ask("/api/queues").catch(() => []);
  const mine = queues.find((queue) => queue.queue === state.queue);
  if (mine) Object.assign(state, { nOpen: mine.n_open, nDone: 0 });
  next();
}

function start() {
  const buttons = {
    confirm: KEYS.Enter, unknown: KEYS.u, blank: KEYS.b, unclear: KEYS.x, new: KEYS.n, search: KEYS["/"], left: KEYS.l, right: KEYS.r, only: KEYS.f, draw: KEYS.d,
    undo, "undo-too": undo, skip, "skip-group": skip, "skip-pair": skip, "zoom-in": KEYS["+"], "zoom-out": KEYS["-"], "zoom-all": KEYS[0],
    same: OF_PAIRS.y, different: OF_PAIRS.n, "pair-unclear": OF_PAIRS.x, "name-group": OF_GROUPS.Enter, split: OF_GROUPS.n,
    "open-help": ALWAYS["?"], again: () => (state.skipped.forEach((one) => state.answered.delete(one)), state.skipped.clear(), (state.place = -1), next()),
  };
  for (const one of document.querySelectorAll("button.done")) one.addEventListener("click", done);
  for (const [id, act] of Object.entries(buttons)) $(id).addEventListener("click", () => act());
  for (const one of document.querySelectorAll("dialog")) one.addEventListener("click", (event) => (event.target === one || event.target.classList.contains("close")) && one.close());
  document.addEventListener("click", (event) => event.detail > 0 && event.target.closest("main button") && !document.querySelector("dialog[open]") && $("stage").focus({ preventScroll: true }));
  $("keys-on").checked = localStorage.getItem("trapaudit-keys") !== "off";
  $("keys-on").addEventListener("change", () => localStorage.setItem("trapaudit-keys", $("keys-on").checked ? "on" : "off"));
  for (const link of document.querySelectorAll("a.home")) link.href = address("/");
  $("report").href = address("/report");
  document.addEventListener("keydown", pressed);
  window.addEventListener("online", () => outbox.send());
  window.addEventListener("resize", () => view.apply());
  listenStage();
  listenChooser();
  outbox.write(outbox.read());
  outbox.send();
  ask("/api/names").then((found) => (names = found), () => {});
  if (state.queue) work();
  else home();
}

start();
