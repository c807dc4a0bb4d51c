import { writeFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs";
import { TextToImagePipeline, type TextToImageStep, encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { type KeyedNoise, type Scheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { Presets, SingleBar } from "cli-progress";
import { captionWords } from "../../datasets/faces/index.js";
import { packagePath } from "../package-folder.js";
import type { DrawArguments } from "./arguments.js";
import { DrawingStopped } from "./drawing-stopped.js";
import { EXAMPLES } from "./examples.js";
import { outputFile } from "./output-file.js";
import { samplerNamed } from "./samplers.js";
import { showInTerminal } from "./show.js";
import { describeUnknownWords, unknownWords } from "./unknown-words.js";

/** Pictures that go through the network together: more are no faster and take more memory. */
const BATCH = 32;

/** In the file, a pixel of the model is a square of this many pixels; pictures and rows stand this far apart. */
const SCALE = 8;
const GAP = 1;

/** Draws, writes the file, and shows it where the terminal can. */
export async function draw(args: DrawArguments): Promise<void> {
  const prompts = args.prompts.length > 0 ? args.prompts : EXAMPLES;
  const known = captionWords();
  const asked = [...args.prompts, args.negative].join(" ");
  process.stderr.write(describeUnknownWords(unknownWords(asked, known)));
  const file = outputFile(args.out, args.prompts);

  const { name, detail } = await useBackend(args.backend);
  const pipeline = await TextToImagePipeline.fromPretrained(packagePath("weights", "faces"));
  for (const prompt of prompts) pipeline.parts.tokenizer.encode(prompt, { onTruncate: warnOfTruncation });
  const scheduler = samplerNamed(args.sampler, pipeline.parts.scheduler, args.steps);
  const started = performance.now();
  const images = await drawInBatches(
    pipeline,
    scheduler,
    prompts.flatMap((prompt) => Array<string>(args.count).fill(prompt)),
    args,
  );
  const seconds = (performance.now() - started) / 1000;
  pipeline.dispose();

  const columns = prompts.length > 1 ? args.count : Math.min(args.count, 8);
  const sheet = imageGrid(images, { columns, gap: GAP, scale: SCALE });
  await writeFile(file, await encodePng(sheet));
  await showInTerminal(images, prompts, args.count);
  console.log(
    `Drew ${images.shape[0]} pictures in ${seconds.toFixed(1)} s on ${name}${detail ? ` (${detail})` : ""}: ${file}`,
  );
  tf.dispose([images, sheet]);
}

function warnOfTruncation(cut: string): void {
  console.error(`The sentence is longer than the model can read; it will not see "${cut}".`);
}

async function drawInBatches(
  pipeline: TextToImagePipeline,
  scheduler: Scheduler,
  prompts: string[],
  args: DrawArguments,
): Promise<tf.Tensor4D> {
  const batches = Array.from({ length: Math.ceil(prompts.length / BATCH) }, (_, b) =>
    prompts.slice(b * BATCH, (b + 1) * BATCH),
  );
  const abort = new AbortController();
  const stop = () => abort.abort(new DrawingStopped());
  const bar = new SingleBar(
    { format: "Drawing {bar} {value}/{total} steps, {eta_formatted} left", hideCursor: true, noTTYOutput: true },
    Presets.shades_classic,
  );
  const done: tf.Tensor4D[] = [];
  process.once("SIGINT", stop);
  bar.start(batches.length * args.steps, 0);
  try {
    for (const [b, prompt] of batches.entries()) {
      const { images, latents } = await pipeline.generate({
        prompt,
        negativePrompt: args.negative,
        guidanceScale: args.guidance,
        numInferenceSteps: args.steps,
        scheduler,
        noise: noiseOfBatch(args.seed, b),
        signal: abort.signal,
        onStep: ({ index, total }: TextToImageStep) => {
          bar.setTotal(batches.length * total);
          bar.update(b * total + index + 1);
        },
      });
      latents.dispose();
      done.push(images);
    }
    return tf.concat(done);
  } finally {
    tf.dispose(done);
    bar.stop();
    process.off("SIGINT", stop);
  }
}

/** The first batch is what `pipeline.generate({ seed })` draws. */
function noiseOfBatch(seed: number, batch: number): KeyedNoise {
  return batch === 0 ? keyedNoise(seed) : keyedNoise(seed).at("batch", batch);
}
