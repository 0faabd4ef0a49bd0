// The page: what the wire tells, shown; what the person does, sent.

import { clock, Score } from "./score.js";
import { Sound } from "./sound.js";
import { Talk } from "./talk.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const wire = new Wire();
const sound = new Sound(wire);
const talk = new Talk($("lines"), $("empty"));
const time = { session: 0, at: performance.now(), running: false };
const now = () => (time.running ? time.session + Math.min(1, (performance.now() - time.at) / 1000) : time.session);
const score = new Score($("score"), now);
const counts = { ticks: 0, late: 0 };
let status = { state: "connecting", role: "nobody", agents: [], tasks: [] };

globalThis.stretto = { wire, sound, score, get status() { return status; } }; // for tests, and for the curious

// what is so

const STATES = { idle: "Idle", starting: "Starting", running: "Live", ended: "Ended", fault: "Broken", connecting: "Connecting", lost: "Connection lost" };

function show() {
  const { state, role } = status;
  document.body.dataset.state = state;
  document.body.dataset.role = role;
  document.body.toggleAttribute("data-held", Boolean(status.latched));
  const watching = role === "watcher" && state === "running" ? "Watching" : STATES[state];
  $("state").textContent = state === "running" ? `${watching} · ${clock(now())}` : watching;
  const mine = role === "owner";
  for (const id of ["mic", "hold", "line", "send", "task", "agent", "reset"]) $(id).disabled = !mine;
  $("line").placeholder = mine ? "Say or type what to do" : "You are watching";
  $("held").hidden = !status.latched;
  $("held-text").textContent = status.latched_by === "owner_gone" ? "The arm is halted: whoever had it has gone." : "The arm is halted. Let it go, then tell it what to do.";
}

function options(select, entries, chosen) {
  const key = JSON.stringify([entries, chosen]);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

function choices() {
  const suite = (status.task ?? "").split(":")[0];
  const tasks = status.tasks ?? [];
  options($("task"), tasks.length ? tasks.map((text, n) => [`${suite}:${n}`, text]) : [[status.task ?? "", status.task ?? ""]], status.task);
  options($("agent"), (status.agents ?? []).map((name) => [name, name]), status.agent);
  const said = tasks.length ? [tasks[Number((status.task ?? ":0").split(":")[1])] ?? tasks[0], "What are you doing?", "Stop"] : [];
  const key = said.join("|");
  if ($("chips").dataset.key === key) return;
  $("chips").dataset.key = key;
  $("chips").replaceChildren(...said.map((text) => {
    const [item, button] = [document.createElement("li"), document.createElement("button")];
    button.type = "button";
    button.textContent = text[0].toUpperCase() + text.slice(1);
    button.onclick = () => say(text);
    item.append(button);
    return item;
  }));
}

let noticed = null;
function notice(text, kind = "", act = null) {
  noticed = text ? kind : null;
  $("notice").hidden = !text;
  $("notice-text").textContent = text ?? "";
  $("notice-act").hidden = !act;
  if (act) [$("notice-act").textContent, $("notice-act").onclick] = act;
}

wire.on("session.status", (event) => {
  const before = status;
  status = { ...status, ...event };
  if (status.session !== before.session && status.state === "running") begin();
  time.running = status.state === "running";
  if (status.state === "fault") notice(`The session broke: ${status.message}`, "fault", ["Begin anew", reset]);
  else if (status.role === "watcher") {
    if (status.owned) notice("Somebody else has the robot. You may watch, and stop it.", "watch");
    else notice("Nobody has the robot.", "watch", ["Take it", () => wire.send("session.claim")]);
  } else if (noticed === "watch" || noticed === "fault" || noticed === "lost") notice(null);
  if (status.role !== "owner" && sound.listening) closeMicrophone();
  choices();
  show();
});

function begin() {
  score.clear();
  talk.clear();
  Object.assign(counts, { ticks: 0, late: 0 });
  $("halts").textContent = "";
  Object.assign(time, { session: 0, at: performance.now() });
}

wire.on("lost", ({ code, reason }) => {
  status = { ...status, state: "lost", role: "nobody", session: undefined };
  time.running = false;
  closeMicrophone();
  const why = code === 1008 || code === 1013 ? ` ${reason}.` : "";
  notice(`The connection is lost; the arm is halted.${why} Trying again.`, "lost");
  show();
});

wire.on("error", ({ error }) => {
  if (error.code === "fault") return talk.add("halt", "Fault", error.message, now());
  if (error.code !== "input_audio_overrun") notice(error.message, "error");
});

// time

wire.on("session.pulse", ({ t, steps, voice, speaking }) => {
  if (t > now() || now() - t > 0.3) Object.assign(time, { session: t, at: performance.now() });
  score.steps.push(...steps);
  if (speaking && voice.length) score.voice.push([t, voice[0]]);
  if (sound.context?.state !== "running") talk.heard(t);
});
wire.on("session.tick", ({ t, late_s, mic }) => {
  counts.ticks += 1;
  if (late_s > 0.02) { counts.late += 1; score.late.push(t); }
  mic.forEach((level, n) => score.mic.push([t - 0.05 * (mic.length - n), level]));
  $("ticks").textContent = `${counts.ticks} ticks, ${counts.late} late`;
  show();
});
wire.on("session.late", ({ t, source }) => { if (source !== "world") score.late.push(t); });

// pictures

wire.on("session.image", async ({ camera, t, body }) => {
  const bitmap = await createImageBitmap(body);
  const canvas = $(camera);
  if (!canvas) return;
  if (canvas.width !== bitmap.width) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  if (camera === "front") score.picture(t, bitmap);
});

// what is heard and said

wire.on("conversation.item.input_audio_transcription.completed", ({ transcript, t }) => {
  talk.add("you", "You", transcript, t);
  score.heard.push({ t, text: transcript });
});
wire.on("response.audio_transcript.delta", (event) => {
  talk.begin(event);
  score.said.push({ id: event.response_id, t: event.t, text: event.delta });
  $("spoken").textContent = sound.context?.state === "running" ? "" : event.delta;
});
wire.on("response.audio.done", ({ response_id, t }) => close(response_id, t));
wire.on("output_audio_buffer.cleared", ({ response_id, t }) => close(response_id, t, true));
wire.on("response.audio_transcript.done", (event) => talk.end(event));
sound.addEventListener("played", ({ detail }) => {
  talk.heard(detail);
  if (status.role === "owner") wire.send("output_audio_buffer.played", { played_t: Math.max(0, detail) });
});
sound.addEventListener("muted", () => { if (!noticed) notice("The robot is speaking. Touch the page to hear it.", "muted"); });

function close(id, t, cut = false) {
  for (const said of score.said) if (cut ? said.end === undefined || said.id === id : said.id === id) Object.assign(said, { end: t, cut });
}

// what the arm does

wire.on("action.started", ({ t, goal }) => goalIs(t, goal, "starts"));
wire.on("action.switched", ({ t, goal }) => goalIs(t, goal, "turns to"));
wire.on("action.resumed", ({ t }) => talk.add("arm", "Arm", "goes on", t));
wire.on("action.completed", ({ t, goal }) => { score.goals.push({ t, text: "" }); talk.add("arm", "Arm", `is done: ${goal}`, t); });
wire.on("action.halted", ({ t, by, asked_t, after_s }) => {
  score.halts.push({ t, asked: asked_t, after: after_s, by });
  const how = { stop_button: "halted by the button", owner_gone: "halted: nobody was here", reflex: "halted by the reflex" }[by] ?? "halted";
  const after = after_s === undefined || by === "owner_gone" ? "" : ` after ${Math.round(after_s * 1000)} ms`;
  talk.add("halt", "Arm", how + after, t);
  if (after) $("halts").textContent = `halted${after}`;
});

function goalIs(t, goal, how) {
  score.goals.push({ t, text: goal });
  talk.add("arm", "Arm", `${how}: ${goal}`, t);
}

// what the person does

function say(text) {
  const content = [{ type: "input_text", text }];
  if (text.trim() && wire.send("conversation.item.create", { item: { type: "message", role: "user", content } })) talk.empty.hidden = true;
}

function stop() {
  wire.send("action.stop");
  if (status.role === "owner") wire.send("response.cancel");
}

function reset() {
  wire.send("session.reset", { task: $("task").value, agent: $("agent").value, seed: Math.floor(Math.random() * 1e6) });
}

async function microphone(how, on) {
  try {
    await sound.listen(how, on);
    if (noticed === "microphone") notice(null);
  } catch (error) {
    const why = { NotAllowedError: "The browser was told not to give it. Allow it beside the address, or type.", NotFoundError: "There is none. Plug one in, or type." }[error.name] ?? error.message;
    notice(`No microphone. ${why}`, "microphone");
  }
}

function closeMicrophone() {
  sound.listen("open", false);
  sound.listen("held", false);
}

sound.addEventListener("listening", () => {
  $("mic").setAttribute("aria-pressed", sound.open);
  $("hold").setAttribute("aria-pressed", sound.held);
  $("hold").textContent = sound.held ? "Listening" : "Hold to talk";
  $("hold").hidden = sound.open;
});
sound.addEventListener("level", ({ detail }) => $("mic").style.setProperty("--loud", Math.min(1, Math.sqrt(detail) * 2).toFixed(2)));

$("stop").addEventListener("pointerdown", (event) => { if (event.button === 0) stop(); });
$("stop").addEventListener("click", (event) => { if (event.detail === 0) stop(); }); // by keyboard or by a reader
$("release").onclick = () => wire.send("action.release");
$("mic").onclick = () => microphone("open", !sound.open);
$("reset").onclick = reset;
$("task").onchange = reset;
$("agent").onchange = reset;
$("theme").onclick = () => globalThis.switchTheme();
$("notice-close").onclick = () => notice(null);
$("form").onsubmit = (event) => {
  event.preventDefault();
  say($("line").value);
  $("line").value = "";
};

$("hold").onpointerdown = (event) => { event.currentTarget.setPointerCapture(event.pointerId); microphone("held", true); };
for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) $("hold").addEventListener(end, () => sound.held && microphone("held", false));
$("hold").onkeydown = (event) => { if ([" ", "Enter"].includes(event.key) && !event.repeat) { event.preventDefault(); microphone("held", true); } };
$("hold").onkeyup = (event) => { if ([" ", "Enter"].includes(event.key)) microphone("held", false); };
$("hold").onblur = () => sound.held && microphone("held", false);
$("hold").oncontextmenu = (event) => event.preventDefault();

addEventListener("keydown", (event) => {
  const busy = event.target.closest?.("input, select, button, textarea, a");
  if (event.key === "Escape" || (event.key === " " && !busy)) { event.preventDefault(); if (!event.repeat) stop(); }
  if (event.key.toLowerCase() === "m" && !busy && !event.ctrlKey && !event.metaKey && !event.altKey && !$("mic").disabled) microphone("open", !sound.open);
});

new ResizeObserver(() => document.body.style.setProperty("--dock", `${document.querySelector(".dock").offsetHeight}px`)).observe(document.querySelector(".dock"));
choices();
show();
