// The wire: one WebSocket, events in JSON, pictures as a head of JSON and a JPEG (docs/wire.md).

const AGAIN_MS = [300, 700, 1500, 3000];

/** Fires a CustomEvent for each event of the server, named by its type; `open` and `lost` besides. */
export class Wire extends EventTarget {
  constructor() {
    super();
    this.sent = 0;
    this.tries = 0;
    this.last = 0;
    this.missed = 0;
    this.connect();
    setInterval(() => this.send("session.ping"), 5000);
    addEventListener("pagehide", () => this.socket?.close());
  }

  connect() {
    const address = new URL("v1/realtime", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = location.search;
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.sent = this.last = this.tries = 0; this.fire("open", {}); };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = ({ code, reason }) => {
      this.fire("lost", { code, reason });
      setTimeout(() => this.connect(), AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)]);
    };
  }

  take(data) {
    let event, body;
    if (typeof data === "string") event = JSON.parse(data);
    else {
      const length = new DataView(data).getUint32(0, true);
      event = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      body = new Blob([new Uint8Array(data, 4 + length)], { type: event.mime });
    }
    this.missed += event.seq - this.last - 1;
    this.last = event.seq;
    this.fire(event.type, event, body);
  }

  fire(type, event, body) {
    this.dispatchEvent(new CustomEvent(type, { detail: { ...event, body } }));
  }

  on(type, act) {
    this.addEventListener(type, ({ detail }) => act(detail));
  }

  /** Returns whether it could be sent. */
  send(type, fields = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify({ type, seq: ++this.sent, ...fields }));
    return true;
  }
}

export function base64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(text);
}

export function pcm16(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const whole = new Int16Array(bytes.buffer);
  return Float32Array.from(whole, (v) => v / 32768);
}
