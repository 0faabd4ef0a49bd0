// The conversation: what was heard, what is said, word by word as it sounds, and what the arm did.

import { clock } from "./score.js";

const MOST = 200;

export class Talk {
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
    this.sentences = new Map(); // response id -> {line, words, t}
  }

  clear() {
    this.list.replaceChildren();
    this.sentences.clear();
    this.empty.hidden = false;
  }

  add(kind, who, text, t) {
    const line = document.createElement("li");
    line.className = kind;
    const [name, what, time] = [document.createElement("span"), document.createElement("span"), document.createElement("time")];
    name.className = "who";
    what.className = "what";
    [name.textContent, what.textContent, time.textContent] = [who, text, clock(t)];
    line.append(name, what, time);
    const low = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    this.list.append(line);
    while (this.list.children.length > MOST) this.list.firstElementChild.remove();
    if (low) this.list.scrollTop = this.list.scrollHeight;
    this.empty.hidden = true;
    return line;
  }

  /** A sentence begins: all its words stand there, and each is inked when it has been heard. */
  begin({ response_id, delta, words, t }) {
    const line = this.add("robot", "Robot", "", t);
    const what = line.querySelector(".what");
    const said = delta.split(/\s+/).filter(Boolean);
    const spans = said.map((word) => {
      const span = document.createElement("span");
      span.className = "word";
      span.textContent = word;
      what.append(span, " ");
      return span;
    });
    const ends = words.length === said.length ? words.map(([, end]) => end) : said.map((_, n) => 0.35 * (n + 1));
    this.sentences.set(response_id, { line, spans, ends, t });
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** The listener has heard everything up to session time `t`. */
  heard(t) {
    for (const { spans, ends, t: start } of this.sentences.values()) {
      spans.forEach((span, n) => { if (start + ends[n] <= t) span.classList.add("heard"); });
    }
  }

  end({ response_id, heard, transcript }) {
    const sentence = this.sentences.get(response_id);
    if (!sentence) return;
    this.sentences.delete(response_id);
    const cut = heard !== transcript;
    const words = cut ? heard.split(/\s+/).filter(Boolean).length : Infinity;
    sentence.spans.forEach((span, n) => span.classList.toggle("heard", n < words));
    sentence.line.classList.toggle("cut", cut);
    if (cut) sentence.line.querySelector(".what").setAttribute("aria-label", `${heard} (cut off)`);
  }
}
