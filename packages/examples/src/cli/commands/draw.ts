import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, type Pipeline } from "@tfjs-diffusion/core";
import type { CLIPTokenizer } from "@tfjs-diffusion/core/text";
import { type KeyedNoise, type Scheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { Presets, SingleBar } from "cli-progress";
import type { DrawArguments } from "../options/arguments.js";
import { backendFor } from "../options/backend-for.js";
import { openModel, pipelineKind } from "../files/open-model.js";
import { outputFile, writeOutput } from "../files/output-file.js";
import { type Canvas, readCanvas } from "../files/read-picture.js";
import { pipelineOptions } from "../options/fit-to-pipeline.js";
import { samplerNamed } from "../options/samplers.js";
import { SHIPPED } from "../options/shipped.js";
import { stepCount } from "../options/steps.js";
import { showInTerminal } from "../terminal/show.js";
import { untilStopped } from "../terminal/stopped.js";
import { describeUnknownWords, unknownWords } from "../options/unknown-words.js";

/** Batch size; larger batches are no faster and take more memory. */
const BATCH = 32;

/** In the file, each pixel of the model is a square with sides of SCALE pixels; pictures are GAP such squares apart. */
const SCALE = 8;
const GAP = 1;

/** Draws with a model of this repository, writes the file, and shows the pictures if the terminal can. */
export async function draw(args: DrawArguments): Promise<void> {
  const { words, examples } = SHIPPED[args.shipped];
  const prompts = args.prompts.length > 0 ? args.prompts : examples;
  const asked = [...args.prompts, args.options.negativePrompt].join(" ");
  process.stderr.write(describeUnknownWords(unknownWords(asked, words())));
  const file = outputFile(args.out, args.prompts[0] ?? "examples");

  await pipelineKind({ ...args, prompts });
  const { name, detail } = await backendFor(args.backend, args.model);
  const pipeline = await openModel(args);
  const canvas: Canvas = {};
  try {
    Object.assign(canvas, await readCanvas(args));
    for (const prompt of prompts) tokenizerOf(pipeline).encode(prompt, { onTruncate: warnOfTruncation });
    const scheduler = samplerNamed(args.sampler, pipeline.scheduler, args.options);
    const drawing = { pipeline, scheduler, canvas, args, place: `${name}${detail ? ` (${detail})` : ""}` };
    // Somebody who asks for nothing sees at once that it works, and then what it can do.
    if (args.prompts.length === 0) await drawSheet(drawing, prompts.slice(0, 1), 1, outputFile(args.out, "first"));
    await drawSheet(drawing, prompts, args.count, file);
  } finally {
    pipeline.dispose();
    tf.dispose([canvas.image ?? [], canvas.mask ?? []]);
  }
}

/** The tokenizer that reads the whole prompt. */
function tokenizerOf({ parts }: Pipeline<object>): CLIPTokenizer {
  const { tokenizer, tokenizer2 = tokenizer } = parts as { tokenizer: CLIPTokenizer; tokenizer2?: CLIPTokenizer };
  return tokenizer2;
}

function warnOfTruncation(cut: string): void {
  console.error(`The sentence is longer than the model can read; it does not read "${cut}".`);
}

interface Drawing {
  pipeline: Pipeline<object>;
  scheduler: Scheduler;
  canvas: Canvas;
  args: DrawArguments;
  /** The backend, in words. */
  place: string;
}

/** Draws a row of pictures for each prompt, writes the file, and shows them. */
async function drawSheet(drawing: Drawing, prompts: readonly string[], each: number, file: string): Promise<void> {
  const started = performance.now();
  const all = prompts.flatMap((prompt) => Array<string>(each).fill(prompt));
  const images = await untilStopped((signal) => drawInBatches(drawing, all, signal));
  const seconds = (performance.now() - started) / 1000;
  const count = images.shape[0];
  // A single picture has no frame, so that --init can read the same pixels again.
  const columns = prompts.length > 1 ? each : Math.min(each, 8);
  const sheet = imageGrid(images, { columns, gap: count === 1 ? 0 : GAP, scale: SCALE });
  try {
    await writeOutput(file, await encodePng(sheet));
    await showInTerminal(images, prompts, each);
  } finally {
    tf.dispose([images, sheet]);
  }
  const drawn = count === 1 ? "1 picture" : `${count} pictures`;
  console.log(`Drew ${drawn} in ${seconds.toFixed(1)} s on ${drawing.place}: ${file}`);
}

async function drawInBatches(
  { pipeline, scheduler, canvas, args }: Drawing,
  prompts: readonly string[],
  signal: AbortSignal,
): Promise<tf.Tensor4D> {
  const batches = Array.from({ length: Math.ceil(prompts.length / BATCH) }, (_, b) =>
    prompts.slice(b * BATCH, (b + 1) * BATCH),
  );
  const bar = new SingleBar(
    { format: "Drawing {bar} {value}/{total} steps, {eta_formatted} left", hideCursor: true, noTTYOutput: true },
    Presets.shades_classic,
  );
  const done: tf.Tensor4D[] = [];
  bar.start(batches.length * stepCount(args.options), 0);
  try {
    const options = pipelineOptions(args, args.options, { scheduler, ...canvas });
    for (const [b, prompt] of batches.entries()) {
      const onStep = ({ step, steps }: { step: number; steps: number }) => {
        bar.setTotal(batches.length * steps);
        bar.update(b * steps + step + 1);
      };
      const noise = noiseOfBatch(args.seed, b);
      const { images, latents } = await pipeline.generate({ ...options, prompt, noise, signal, onStep });
      latents.dispose();
      done.push(images);
    }
    return tf.concat(done);
  } finally {
    tf.dispose(done);
    bar.stop();
  }
}

/** The first batch is what `pipeline.generate({ seed })` draws. */
function noiseOfBatch(seed: number, batch: number): KeyedNoise {
  return batch === 0 ? keyedNoise(seed) : keyedNoise(seed).at("batch", batch);
}
