// Both ends of the sound, in the audio thread: a microphone that gives 16 kHz, and a player that never has a gap.

const HEARING = 16000;
const VOICE = 24000;
const PIECE = 320; // 20 ms
const HALF = 16; // zero crossings of the low-pass filter on either side
const FIRST_S = 0.12; // what is held back before a sentence sounds
const MOST_S = 0.6;

/** Low-pass and resample by a windowed sinc, one sample at a time. */
class Decimator {
  constructor(from, to) {
    this.step = from / to;
    this.cut = Math.min(1, to / from) * 0.92;
    this.reach = Math.ceil(HALF / this.cut);
    this.table = new Float32Array(this.reach * 64 + 2);
    for (let i = 0; i < this.table.length; i++) {
      const x = i / 64;
      const y = Math.PI * x * this.cut;
      const window = x < this.reach ? 0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach) : 0;
      this.table[i] = (x === 0 ? 1 : Math.sin(y) / y) * window * this.cut;
    }
    this.held = new Float32Array(this.reach * 2);
    this.at = this.reach;
  }

  push(input, give) {
    const all = new Float32Array(this.held.length + input.length);
    all.set(this.held);
    all.set(input, this.held.length);
    while (this.at + this.reach < all.length) {
      const first = Math.ceil(this.at - this.reach);
      const last = Math.floor(this.at + this.reach);
      let sum = 0;
      for (let i = Math.max(0, first); i <= last; i++) sum += all[i] * this.table[Math.round(Math.abs(i - this.at) * 64)];
      give(sum);
      this.at += this.step;
    }
    const drop = Math.max(0, Math.floor(this.at) - this.reach - 1);
    this.held = all.slice(drop);
    this.at -= drop;
  }
}

registerProcessor("stretto-ear", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.decimator = new Decimator(sampleRate, HEARING);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    if (!input.length) return true;
    this.decimator.push(input[0], (sample) => {
      const bounded = Math.max(-1, Math.min(1, sample));
      this.energy += bounded * bounded;
      this.piece[this.filled++] = Math.round(bounded * 32767);
      if (this.filled < PIECE) return;
      this.port.postMessage({ pcm: this.piece.buffer, level: Math.sqrt(this.energy / PIECE) }, [this.piece.buffer]);
      this.piece = new Int16Array(PIECE);
      this.filled = this.energy = 0;
    });
    return true;
  }
});

registerProcessor("stretto-mouth", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.pieces = [];
    this.at = 0; // within the first piece
    this.target = FIRST_S;
    this.waiting = true;
    this.waited = 0;
    this.gain = 1;
    this.ended = true;
    this.told = 0;
    this.before = new Float32Array(4);
    this.phase = 0;
    this.port.onmessage = ({ data }) => {
      if (data.flush) this.flushing = true;
      else if (data.end) this.ended = true;
      else {
        if (this.ended && !this.pieces.length) { this.waiting = true; this.waited = 0; }
        this.ended = false;
        this.pieces.push(data);
      }
    };
  }

  get held() {
    return this.pieces.reduce((sum, piece) => sum + piece.samples.length, -this.at) / VOICE;
  }

  process(_, [[out]]) {
    const held = this.held;
    if (this.waiting && this.pieces.length) {
      this.waited += out.length / sampleRate;
      if (held >= this.target || this.ended || this.waited > this.target + 0.2) this.waiting = false;
    }
    if (!this.waiting) this.play(out);
    if (!this.pieces.length && this.flushing) this.flushing = false;
    this.tell(out.length / sampleRate);
    return true;
  }

  play(out) {
    for (let i = 0; i < out.length; i++) {
      if (this.flushing) {
        this.gain -= 1 / (0.008 * sampleRate);
        if (this.gain <= 0) { this.drop(); return; }
      }
      this.phase += VOICE / sampleRate;
      while (this.phase >= 1) {
        if (!this.next()) return;
        this.phase -= 1;
      }
      const [a, b, c, d] = this.before;
      const x = this.phase;
      out[i] = this.gain * (b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))));
    }
  }

  next() {
    const piece = this.pieces[0];
    if (!piece) {
      this.waiting = true;
      this.waited = 0;
      this.phase = 0;
      this.before.fill(0);
      if (!this.ended) this.target = Math.min(MOST_S, this.target + 0.06); // it ran dry inside a sentence
      return false;
    }
    this.before.copyWithin(0, 1);
    this.before[3] = piece.samples[this.at++];
    this.played = piece.t + this.at / VOICE;
    if (this.at >= piece.samples.length) { this.pieces.shift(); this.at = 0; }
    return true;
  }

  drop() {
    this.pieces = [];
    this.at = this.phase = 0;
    this.before.fill(0);
    this.gain = 1;
    this.flushing = false;
    this.waiting = true;
    this.ended = true;
  }

  tell(seconds) {
    this.told += seconds;
    if (this.told < 0.1 || this.played === undefined) return;
    this.told = 0;
    this.port.postMessage({ played: this.played, held: this.held, dry: this.target });
    this.played = undefined;
  }
});
