/**
 * A page that draws what is typed, with the portraits model, as `live` does in the terminal. It also shows each step.
 */
import * as tf from "@tensorflow/tfjs";
import { StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { captionWords } from "../datasets/faces/vocabulary.js";
import { LatestOnly } from "../src/cli/terminal/live-state.js";

/** The values of the form: what to draw. */
interface DrawRequest {
  prompt: string;
  negativePrompt: string;
  /** True: draw with the few-steps LoRA, in one to four steps and without guidance. */
  fast: boolean;
  steps: number;
  guidanceScale: number;
  seed: number;
}

const FEW_STEPS = "few-steps";
const [MOST_FEW_STEPS, MOST_STEPS, MOST_SHOWN] = [8, 50, 12];
const canvas = element<HTMLCanvasElement>("picture");
let seed = 0;

const here = new URL(".", location.href).href;
const { name, detail } = await useBackend("wasm", { threads: threads(), wasmPaths: here });
const pipeline = await StableDiffusionXLPipeline.fromPretrained(`${here}portraits`);
await pipeline.loras.load(`${here}few-steps.safetensors`, { name: FEW_STEPS });
const ownScheduler = pipeline.parts.scheduler;
const lcm = schedulerFromConfig({ ...ownScheduler.config, _class_name: "LCMScheduler" });

const latest = new LatestOnly(draw);
let newest: DrawRequest;
element("form").addEventListener("input", () => follow());
element("form").addEventListener("submit", (event) => event.preventDefault());
element("fast").addEventListener("change", () => {
  const { fast } = readForm();
  const steps = element<HTMLInputElement>("steps");
  [steps.max, steps.value] = fast ? [String(MOST_FEW_STEPS), "4"] : [String(MOST_STEPS), "12"];
  follow();
});
element("another").addEventListener("click", () => {
  seed++;
  follow();
});
offerWords();
follow();

/** Half of the cores, as in Node; one if the page may not share memory between threads. */
function threads(): number {
  return crossOriginIsolated ? Math.max(1, Math.min(4, navigator.hardwareConcurrency >> 1)) : 1;
}

function readForm(): DrawRequest {
  const value = (id: string) => element<HTMLInputElement>(id).value;
  return {
    prompt: value("prompt"),
    negativePrompt: value("negative"),
    seed,
    fast: element<HTMLInputElement>("fast").checked,
    steps: Number(value("steps")),
    guidanceScale: Number(value("guidance")),
  };
}

function follow(): void {
  newest = readForm();
  element("stepsNow").textContent = String(newest.steps);
  element("guidanceNow").textContent = newest.fast ? "none" : String(newest.guidanceScale);
  for (const id of ["guidance", "negative"]) element<HTMLInputElement>(id).disabled = newest.fast;
  latest.push(newest).catch((error: Error) => (element("state").textContent = error.message));
}

/** Draws, and stops as soon as the form changes. */
async function draw(wanted: DrawRequest): Promise<void> {
  const began = performance.now();
  const { prompt, negativePrompt, fast, steps, seed } = wanted;
  if (pipeline.loras.scales[FEW_STEPS] !== Number(fast)) pipeline.loras.setScale(FEW_STEPS, Number(fast));
  const how = fast ? { scheduler: lcm, guidanceScale: 1 } : { negativePrompt, guidanceScale: wanted.guidanceScale };
  const stop = new AbortController();
  const walk: tf.Tensor4D[] = [];
  try {
    const { images, latents } = await pipeline.generate({
      prompt,
      seed,
      numInferenceSteps: steps,
      signal: stop.signal,
      ...how,
      onStep: ({ latents }) => {
        if (newest !== wanted && !fast) stop.abort();
        walk.push(latents.clone());
      },
    });
    paint(canvas, images);
    tf.dispose([images, latents]);
    const milliseconds = performance.now() - began;
    element("state").textContent =
      `${milliseconds.toFixed(0)} ms, ${(1000 / milliseconds).toFixed(1)} pictures a second, on ${name}${detail ? `, ${detail}` : ""}`;
    if (newest === wanted) showWalk(walk);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    tf.dispose(walk);
  }
}

/** Shows the decoded latents after each step, or after every few steps if there are many. */
function showWalk(walk: readonly tf.Tensor4D[]): void {
  const { vae } = pipeline.parts;
  const every = Math.ceil(walk.length / MOST_SHOWN);
  const shown = walk.filter((_, i) => (walk.length - 1 - i) % every === 0);
  const decoded = tf.tidy(() => vae.decode(tf.concat([...shown]).div(vae.config.scaling_factor)));
  const pictures = tf.tidy(() => tf.split(decoded.add(1).div(2).clipByValue(0, 1), shown.length));
  const canvases = pictures.map((picture) => paint(document.createElement("canvas"), picture as tf.Tensor4D));
  tf.dispose([decoded, pictures]);
  element("walk").replaceChildren(...canvases);
}

/** The first picture of [B, H, W, 3]. */
function paint(canvas: HTMLCanvasElement, images: tf.Tensor4D): HTMLCanvasElement {
  const [, height, width] = images.shape;
  const values = images.dataSync();
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = Math.round(255 * values[3 * i + c]!);
    pixels.data[4 * i + 3] = 255;
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  return canvas;
}

function offerWords(): void {
  const prompt = element<HTMLInputElement>("prompt");
  const buttons = captionWords("portraits").map((word) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => {
      prompt.value = `${prompt.value.trimEnd()} ${word}`.trimStart();
      follow();
    });
    return button;
  });
  element("words").replaceChildren(...buttons);
}

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}
