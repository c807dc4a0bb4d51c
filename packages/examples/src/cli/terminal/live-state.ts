/** What `diffusion live` draws. */
export interface LiveState {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
}

/** A key as Node's readline reports it. */
export interface Key {
  /** The text that it types. */
  text?: string;
  name?: string;
  ctrl?: boolean;
  meta?: boolean;
}

/** The most steps that a few-step network needs. */
export const MOST_STEPS = 8;

/** The state after a key; undefined for a key that ends the command. A key without a meaning returns the same state. */
export function afterKey(state: LiveState, { text, name, ctrl, meta }: Key): LiveState | undefined {
  if (name === "escape" || (ctrl && (name === "c" || name === "d"))) return undefined;
  if (name === "up") return { ...state, seed: state.seed + 1 };
  if (name === "down") return { ...state, seed: Math.max(0, state.seed - 1) };
  if (name === "right") return { ...state, steps: Math.min(MOST_STEPS, state.steps + 1) };
  if (name === "left") return { ...state, steps: Math.max(1, state.steps - 1) };
  if (name === "backspace") return { ...state, prompt: [...state.prompt].slice(0, -1).join("") };
  if (ctrl && name === "u") return { ...state, prompt: "" };
  if (ctrl && name === "w") return { ...state, prompt: state.prompt.replace(/\S*\s*$/, "") };
  const isText = !ctrl && !meta && text !== undefined && /^\P{C}+$/u.test(text);
  return isText ? { ...state, prompt: state.prompt + text } : state;
}

/**
 * Runs `work` on values as they arrive, one at a time. Of the values that arrive meanwhile, only the newest is kept.
 */
export class LatestOnly<T> {
  #next: { value: T } | undefined;
  #running: Promise<void> | undefined;

  constructor(private readonly work: (value: T) => Promise<void>) {}

  /** Runs `work` on `value`, now or next. Resolves when nothing is left to do; rejects if the work fails. */
  push(value: T): Promise<void> {
    this.#next = { value };
    return (this.#running ??= this.#run().finally(() => (this.#running = undefined)));
  }

  /** Resolves when no work is running, whether it failed or not. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (this.#next) {
      const { value } = this.#next;
      this.#next = undefined;
      await this.work(value);
    }
  }
}
