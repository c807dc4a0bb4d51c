import { emitKeypressEvents } from "node:readline";
import { useBackend } from "@tfjs-diffusion/core";
import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import * as tf from "@tensorflow/tfjs";
import { type ColorDepth, colorDepth, halfBlocks, type Pixels } from "../terminal/half-blocks.js";
import { afterKey, type Key, LatestOnly, type LiveState, MOST_STEPS } from "../terminal/live-state.js";
import { openModel } from "../files/open-model.js";
import { ifGiven, oneOf, parseOptions, whole } from "../options/option-values.js";
import { lora } from "../options/picture-arguments.js";
import { samplerNamed } from "../options/samplers.js";
import { toPixels } from "../terminal/show.js";
import { UsageError } from "../options/usage-error.js";

export const LIVE_HELP = `Draws while you type, in the terminal.

  npm start -- live                  begins with an empty prompt
  npm start -- live "a bald man"     begins with this one

  letters, backspace, Ctrl-W, Ctrl-U   change the prompt
  up, down                             other noise: another face
  left, right                          steps from noise to picture, 1 to ${MOST_STEPS}
  Esc, Ctrl-C                          quit

  --model PATH      a latent diffusion model (default portraits)
  --lora NAME       a LoRA for drawing in few steps, or "none" (default few-steps)
  --steps N         (default 4)
  --seed N          (default 0)
  --backend NAME    ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
`;

const TEXT = { type: "string" } as const;
const OPTIONS = {
  model: { ...TEXT, default: "portraits" },
  lora: { ...TEXT, default: "few-steps" },
  steps: { ...TEXT, default: "4" },
  seed: { ...TEXT, default: "0" },
  backend: TEXT,
  help: { type: "boolean", short: "h", default: false },
} as const;

/** `diffusion live`: the picture follows the typed prompt, drawn in few steps (Luo et al. 2023). */
export async function live(args: string[]): Promise<void> {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return console.log(LIVE_HELP);
  const start: LiveState = {
    prompt: positionals.join(" "),
    seed: whole("seed", values.seed, 0, Number.MAX_SAFE_INTEGER),
    steps: whole("steps", values.steps, 1, MOST_STEPS),
  };
  const backend = ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]);
  const depth = requireTerminal();
  const { name } = await useBackend(backend);
  const { draw, dispose } = await openFewSteps(values.model, values.lora);
  const picture = async (state: LiveState) => {
    const began = performance.now();
    const lines = halfBlocks(await draw(state), depth);
    const milliseconds = performance.now() - began;
    process.stdout.write(frame(lines, state, { name, milliseconds }));
  };
  try {
    process.stdout.write(`${ALTERNATE_SCREEN}${HIDE_CURSOR}`);
    await followKeys(start, picture);
  } finally {
    process.stdout.write(`${SHOW_CURSOR}${MAIN_SCREEN}`);
    dispose();
  }
}

/** @throws UsageError if the terminal cannot show pictures or read keys */
function requireTerminal(): ColorDepth {
  const depth = colorDepth();
  if (process.stdin.isTTY && depth !== undefined) return depth;
  throw new UsageError(
    "live needs a terminal that shows colours and reads keys; here the input or the output is a file or a pipe, or has no colours. " +
      'For a picture file: npm start -- "a bald man".',
  );
}

interface FewSteps {
  draw(state: LiveState): Promise<Pixels>;
  dispose(): void;
}

/** @throws UsageError for a LoRA that the model does not take; errors of openModel */
async function openFewSteps(model: string, from: string): Promise<FewSteps> {
  const loras = from === "none" ? [] : [lora(from)];
  const pipeline = await openModel({ model, open: {}, loras, words: [] });
  const scheduler = samplerNamed("lcm", pipeline.scheduler, { numInferenceSteps: MOST_STEPS });
  return {
    async draw({ prompt, seed, steps }) {
      const drawn = { prompt, seed, scheduler, numInferenceSteps: steps, guidanceScale: 1 };
      const { images, latents } = await pipeline.generate(drawn);
      const [picture] = await toPixels(images);
      tf.dispose([images, latents]);
      return picture!;
    },
    dispose: () => pipeline.dispose(),
  };
}

/** Redraws after each key, until a key ends the command. */
async function followKeys(start: LiveState, picture: (state: LiveState) => Promise<void>): Promise<void> {
  const { stdin } = process;
  const latest = new LatestOnly(picture);
  emitKeypressEvents(stdin);
  stdin.setRawMode(true);
  stdin.resume();
  let onKey = (_text: string | undefined, _key: Omit<Key, "text">): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      let state = start;
      latest.push(state).catch(reject);
      onKey = (text, key) => {
        const next = afterKey(state, { text, ...key });
        if (!next) return resolve();
        if (next === state) return;
        state = next;
        latest.push(state).catch(reject);
      };
      stdin.on("keypress", onKey);
    });
  } finally {
    stdin.off("keypress", onKey);
    stdin.setRawMode(false);
    stdin.pause();
    await latest.idle();
  }
}

const ALTERNATE_SCREEN = "\x1b[?1049h";
const MAIN_SCREEN = "\x1b[?1049l";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";

/** The screen from its top: the picture, the prompt, and how long it took. */
export function frame(
  picture: string,
  { prompt, seed, steps }: LiveState,
  { name, milliseconds }: { name: string; milliseconds: number },
): string {
  const speed = `${milliseconds.toFixed(0)} ms, ${(1000 / milliseconds).toFixed(1)} pictures a second on ${name}`;
  const lines = [...picture.split("\n"), "", `> ${prompt}_`, `seed ${seed}, ${steps} steps: ${speed}`, "Esc quits"];
  return `\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`;
}
