// The microphone and the robot's voice. One AudioContext; the browser cancels the echo of the one in the other.

import { base64, pcm16 } from "./wire.js";

export class Sound extends EventTarget {
  constructor(wire) {
    super();
    this.wire = wire;
    this.open = false; // heard all the time
    this.held = false; // heard while the button is held
    wire.on("response.audio.delta", (event) => this.hear(event));
    wire.on("response.audio.done", () => this.mouth?.port.postMessage({ end: true }));
    wire.on("output_audio_buffer.cleared", () => this.mouth?.port.postMessage({ flush: true }));
    for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => this.wake(), { capture: true });
  }

  /** Make the context; browsers let it sound after a touch or a key. */
  async wake() {
    this.making ??= this.make();
    await this.making;
    if (this.context.state === "suspended") await this.context.resume().catch(() => {});
  }

  async make() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule(new URL("sound-worklets.js", import.meta.url));
    this.mouth = new AudioWorkletNode(this.context, "stretto-mouth", { numberOfInputs: 0, outputChannelCount: [1] });
    this.mouth.connect(this.context.destination);
    this.mouth.port.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("played", { detail: data.played }));
  }

  async hear({ delta, t }) {
    this.making ??= this.make();
    await this.making;
    if (this.context.state !== "running") this.dispatchEvent(new CustomEvent("muted"));
    else this.mouth.port.postMessage({ samples: pcm16(delta), t });
  }

  get listening() { return this.open || this.held; }

  /** Open or close the microphone; `how` is "open" or "held". Rejects with an error to be shown. */
  async listen(how, on) {
    this[how] = on;
    if (this.listening && !this.ear) {
      try { await (this.asking ??= this.ask()); } catch (error) { this[how] = false; throw error; } finally { this.asking = null; }
    }
    clearTimeout(this.closing);
    if (!this.listening && this.ear) this.closing = setTimeout(() => this.close(), how === "held" ? 20000 : 0);
    if (!this.listening) this.dispatchEvent(new CustomEvent("level", { detail: 0 }));
    this.dispatchEvent(new CustomEvent("listening"));
  }

  async ask() {
    if (!navigator.mediaDevices) throw new Error("A browser gives its microphone only to pages of this machine (localhost) or of https.");
    await this.wake();
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    if (!this.listening) return this.close();
    this.wire.send("session.update", { session: { input_audio_rate: 16000, input_audio_ahead_s: 0.4 } });
    this.ear = new AudioWorkletNode(this.context, "stretto-ear", { numberOfOutputs: 0 });
    this.ear.port.onmessage = ({ data }) => {
      if (!this.listening) return;
      this.wire.send("input_audio_buffer.append", { audio: base64(new Uint8Array(data.pcm)) });
      this.dispatchEvent(new CustomEvent("level", { detail: data.level }));
    };
    this.source = this.context.createMediaStreamSource(this.stream);
    this.source.connect(this.ear);
    this.stream.getAudioTracks()[0].onended = () => {
      this.open = this.held = false;
      this.close();
      this.dispatchEvent(new CustomEvent("listening"));
    };
  }

  close() {
    this.source?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.ear = this.stream = this.source = null;
    this.dispatchEvent(new CustomEvent("level", { detail: 0 }));
  }
}
