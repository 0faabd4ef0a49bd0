// The score: listen, look, speak and act as four lanes that scroll on one time axis, with halts and late ticks marked.

const SECONDS = 30;
const KEEP_S = 40;
const PICTURE_S = 2;
const FASTEST = 0.3; // m/s that fill the lane of acting

export class Score {
  constructor(canvas, now) {
    this.canvas = canvas;
    this.now = now;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    addEventListener("theme", () => { this.ink = null; });
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.clear();
    this.drawn = 0;
    requestAnimationFrame((t) => this.frame(t));
  }

  clear() {
    this.mic = []; // [t, level]
    this.voice = []; // [t, level]
    this.heard = []; // {t, text}
    this.said = []; // {t, end, text, cut}
    this.pictures = []; // {t, bitmap}
    this.steps = []; // [t, speed, zero, halted]
    this.goals = [{ t: 0, text: "" }];
    this.halts = []; // {t, asked, after, by}
    this.late = []; // t
  }

  picture(t, bitmap) {
    const last = this.pictures.at(-1);
    if (!last || t - last.t >= PICTURE_S || t < last.t) this.pictures.push({ t, bitmap });
  }

  forget(before) {
    for (const name of ["mic", "voice", "steps"]) while (this[name].length && this[name][0][0] < before) this[name].shift();
    for (const name of ["heard", "pictures", "halts"]) while (this[name].length && this[name][0].t < before) this[name].shift();
    while (this.said.length && (this.said[0].end ?? Infinity) < before) this.said.shift();
    while (this.late.length && this.late[0] < before) this.late.shift();
    while (this.goals.length > 1 && this.goals[1].t < before) this.goals.shift();
  }

  fit() {
    const scale = Math.min(2, devicePixelRatio || 1);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.pen = this.canvas.getContext("2d");
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.drawn = 0;
  }

  frame(t) {
    requestAnimationFrame((later) => this.frame(later));
    if (document.hidden || !this.pen || t - this.drawn < (this.still.matches ? 500 : 48)) return;
    this.drawn = t;
    this.draw();
  }

  colours() {
    if (!this.ink) {
      const style = getComputedStyle(document.documentElement);
      this.ink = Object.fromEntries(["ink", "soft", "faint", "rule", "listen", "look", "speak", "act", "stop", "sheet"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }
    return this.ink;
  }

  draw() {
    const { pen, width, height } = this;
    const ink = this.colours();
    const end = Math.max(this.now(), 0.001);
    const gutter = width < 560 ? 52 : 68;
    const span = width < 560 ? 15 : SECONDS;
    const scale = (width - gutter - 2) / span;
    const x = (t) => width - 2 - (end - t) * scale;
    const axis = 26;
    const lane = (height - axis) / 4;
    this.forget(end - KEEP_S);
    pen.clearRect(0, 0, width, height);
    pen.font = "500 12px Inter, sans-serif";
    pen.textBaseline = "middle";
    this.grid({ pen, ink, x, end, span, gutter, width, height, axis, lane });
    pen.save();
    pen.beginPath();
    pen.rect(gutter, 0, width - gutter, height);
    pen.clip();
    const rows = [0, 1, 2, 3].map((row) => ({ top: row * lane + 5, bottom: (row + 1) * lane - 5, middle: (row + 0.5) * lane }));
    this.listen(pen, ink, x, rows[0], scale);
    this.look(pen, x, rows[1], gutter);
    this.speak(pen, ink, x, rows[2], end, gutter);
    this.act(pen, ink, x, rows[3], end, gutter);
    this.marks(pen, ink, x, height - axis, gutter);
    pen.restore();
  }

  grid({ pen, ink, x, end, span, gutter, width, height, axis, lane }) {
    pen.textAlign = "left";
    ["Listen", "Look", "Speak", "Act"].forEach((name, row) => {
      pen.fillStyle = ink[name.toLowerCase()];
      pen.fillText(name, 0, (row + 0.5) * lane);
      pen.fillStyle = ink.rule;
      pen.fillRect(gutter, Math.round((row + 1) * lane) - 0.5, width - gutter, 1);
    });
    pen.textAlign = "center";
    for (let t = Math.max(0, Math.ceil((end - span) / 5) * 5); t <= end; t += 5) {
      pen.fillStyle = ink.rule;
      pen.fillRect(Math.round(x(t)), 0, 1, height - axis);
      pen.fillStyle = ink.faint;
      if (x(t) > gutter + 14 && x(t) < width - 14) pen.fillText(clock(t), x(t), height - 7);
    }
  }

  /** Bars around the middle of a lane, one for each level. */
  bars(pen, colour, levels, x, { top, bottom, middle }, step) {
    pen.fillStyle = colour;
    const half = (bottom - top) / 2;
    for (const [t, level] of levels) {
      const tall = Math.max(0.6, Math.min(1, Math.sqrt(level) * 1.9) * half);
      pen.fillRect(x(t), middle - tall, step, 2 * tall);
    }
  }

  listen(pen, ink, x, row, scale) {
    pen.globalAlpha = 0.75;
    this.bars(pen, ink.listen, this.mic, x, row, Math.max(1, scale * 0.05 - 0.6));
    pen.globalAlpha = 1;
    this.captions(pen, ink, this.heard.map(({ t, text }) => ({ from: x(t) + 4, text })), row.top + 4);
    pen.fillStyle = ink.listen;
    for (const { t } of this.heard) pen.fillRect(x(t) - 0.5, row.top, 1.5, row.bottom - row.top);
  }

  /** Lines of text that never run over each other: each is cut where the next begins. */
  captions(pen, ink, texts, y) {
    pen.textAlign = "left";
    pen.font = "500 11.5px Inter, sans-serif";
    texts.forEach(({ from, text }, place) => {
      const room = (texts[place + 1]?.from ?? Infinity) - from - 6;
      const shown = shorten(pen, text, Math.min(room, 300));
      if (!shown) return;
      pen.fillStyle = ink.sheet;
      pen.globalAlpha = 0.85;
      pen.fillRect(from - 2, y - 7, pen.measureText(shown).width + 4, 14);
      pen.globalAlpha = 1;
      pen.fillStyle = ink.ink;
      pen.fillText(shown, from, y);
    });
    pen.font = "500 12px Inter, sans-serif";
  }

  look(pen, x, { top, bottom }, gutter) {
    const side = bottom - top;
    for (const { t, bitmap } of this.pictures) if (x(t) > gutter - side) pen.drawImage(bitmap, x(t), top, side, side);
  }

  speak(pen, ink, x, row, end, gutter) {
    for (const { t, end: until, cut } of this.said) {
      pen.globalAlpha = 0.13;
      pen.fillStyle = ink.speak;
      round(pen, x(t), row.top, x(Math.min(until ?? end, end)) - x(t), row.bottom - row.top);
      pen.globalAlpha = 1;
      if (cut) {
        pen.fillStyle = ink.stop;
        pen.fillRect(x(until) - 1, row.top, 2, row.bottom - row.top);
      }
    }
    this.bars(pen, ink.speak, this.voice.filter(([, level]) => level > 0.002), x, { ...row, top: row.top + 12, middle: row.middle + 5 }, 1.6);
    this.captions(pen, ink, this.said.map(({ t, text }) => ({ from: Math.max(x(t), gutter) + 5, text })), row.top + 6);
  }

  act(pen, ink, x, { top, bottom }, end, gutter) {
    const high = bottom - top;
    pen.fillStyle = ink.stop;
    pen.globalAlpha = 0.14;
    for (let n = 0; n < this.steps.length; n++) {
      if (!this.steps[n][3]) continue;
      const from = this.steps[n][0];
      while (this.steps[n + 1]?.[3]) n++;
      const until = this.steps[n + 1]?.[0] ?? end;
      pen.fillRect(x(from), top, x(until) - x(from), high);
    }
    pen.globalAlpha = 0.3;
    pen.fillStyle = ink.act;
    pen.beginPath();
    this.steps.forEach(([t, speed], place) => {
      if (!place) pen.moveTo(x(t), bottom);
      pen.lineTo(x(t), bottom - Math.min(1, speed / FASTEST) * high);
      if (place === this.steps.length - 1) pen.lineTo(x(t), bottom);
    });
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = ink.act;
    pen.lineWidth = 1.4;
    pen.stroke();
    const named = this.goals.map(({ t, text }, place) => ({ from: Math.max(x(t), gutter) + 5, text, until: this.goals[place + 1]?.t ?? end })).filter(({ text, until }) => text && x(until) > gutter);
    this.captions(pen, ink, named, top + 6);
  }

  marks(pen, ink, x, bottom, gutter) {
    pen.fillStyle = ink.speak;
    for (const t of this.late) {
      pen.beginPath();
      pen.moveTo(x(t) - 3, bottom + 7);
      pen.lineTo(x(t) + 3, bottom + 7);
      pen.lineTo(x(t), bottom + 2);
      pen.fill();
    }
    for (const { t, asked, after, by } of this.halts) {
      pen.fillStyle = ink.stop;
      if (asked !== undefined) {
        pen.globalAlpha = 0.25;
        pen.fillRect(x(asked), 0, Math.max(1, x(t) - x(asked)), bottom);
        pen.globalAlpha = 1;
      }
      pen.fillRect(x(t) - 0.75, 0, 1.5, bottom);
      const label = by === "owner_gone" ? "nobody here" : after === undefined ? "halt" : `halt ${Math.round(after * 1000)} ms`;
      const wide = pen.measureText(label).width + 12;
      const left = Math.max(gutter, Math.min(x(t) + 4, this.width - wide - 2));
      round(pen, left, bottom - 21, wide, 17);
      pen.fillStyle = "#fff";
      pen.textAlign = "left";
      pen.fillText(label, left + 6, bottom - 12);
    }
  }
}

export function clock(t) {
  return `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`;
}

function round(pen, left, top, wide, high) {
  if (wide <= 0) return;
  pen.beginPath();
  pen.roundRect(left, top, wide, high, 4);
  pen.fill();
}

function shorten(pen, text, room) {
  if (room < 24) return "";
  if (pen.measureText(text).width <= room) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= room) low = middle;
    else high = middle - 1;
  }
  return low > 2 ? `${text.slice(0, low).trimEnd()}…` : "";
}
