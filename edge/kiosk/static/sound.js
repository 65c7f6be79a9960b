// The three rhythms of a verdict. `neutral` plays one for all of them, so that bystanders learn nothing.
//
// Told apart by rhythm and number, not by pitch alone: one long rising pair, three even knocks, two long low drones.

/** Notes of an outcome as [hertz, start, seconds]; empty where nothing sounds. `policy`: off, neutral or verdict. */
export function rhythm(outcome, policy) {
  if (policy === "off") return [];
  if (policy !== "verdict") return [[880, 0, 0.09]];
  return {
    accept: [[784, 0, 0.09], [1175, 0.11, 0.18]],
    refer: [[622, 0, 0.1], [622, 0.18, 0.1], [622, 0.36, 0.1]],
    reject: [[196, 0, 0.34], [196, 0.46, 0.5]],
  }[outcome] || [];
}

/** Plays rhythms, or does nothing where the machine has no sound. */
export class Player {
  constructor(policy) {
    this.policy = policy;
    const isOff = policy === "off" || typeof AudioContext === "undefined";
    this.context = isOff ? null : new AudioContext();
  }

  /** Whether the browser waits for a key before it lets anything sound. */
  get isBlocked() {
    return this.context !== null && this.context.state === "suspended";
  }

  /** Called on any key or touch: the browser allows sound only then. */
  wake() {
    if (this.isBlocked) this.context.resume().catch(() => {});
  }

  play(outcome) {
    if (!this.context || this.isBlocked) return;
    const start = this.context.currentTime + 0.01;
    for (const [hertz, at, seconds] of rhythm(outcome, this.policy)) this.note(hertz, start + at, seconds);
  }

  note(hertz, at, seconds) {
    const tone = this.context.createOscillator();
    const gain = this.context.createGain();
    tone.type = "triangle";
    tone.frequency.value = hertz;
    // A soft start and end: a square edge clicks, and a click is a fourth sound.
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.35, at + 0.01);
    gain.gain.setValueAtTime(0.35, at + seconds - 0.02);
    gain.gain.linearRampToValueAtTime(0, at + seconds);
    tone.connect(gain).connect(this.context.destination);
    tone.start(at);
    tone.stop(at + seconds);
  }
}
