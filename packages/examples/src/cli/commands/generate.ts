import * as tf from "@tensorflow/tfjs";
import { type Control, encodePng, UnCLIPPipeline, useBackend } from "@tfjs-diffusion/core";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { Presets, SingleBar } from "cli-progress";
import { type DrawingModel, isLatent, openAnyModel, openControl } from "../files/open-model.js";
import { numbered, outputFile, writeOutput } from "../files/output-file.js";
import {
  EDIT_HELP,
  GENERATE_HELP,
  type PictureArguments,
  readEditArguments,
  readGenerateArguments,
} from "../options/picture-arguments.js";
import { pictureTexts } from "../options/picture-settings.js";
import { type Canvas, readCanvas } from "../files/read-picture.js";
import { samplerNamed } from "../options/samplers.js";
import { stepCount, stepOptions } from "../options/steps.js";
import { untilStopped } from "../terminal/stopped.js";

/** `diffusion generate`: draws pictures from prompts. */
export async function generate(args: string[]): Promise<void> {
  const wanted = readGenerateArguments(args);
  if (wanted === "help") console.log(GENERATE_HELP);
  else await drawPictures(wanted);
}

/** `diffusion edit`: draws a picture anew, whole, in places or beyond its borders. */
export async function edit(args: string[]): Promise<void> {
  const wanted = readEditArguments(args);
  if (wanted === "help") console.log(EDIT_HELP);
  else await drawPictures(wanted);
}

async function drawPictures(args: PictureArguments): Promise<void> {
  const path = outputFile(args.out, args.prompts);
  const { name, detail } = await useBackend(args.backend);
  const canvas = await readCanvas(args);
  const control = await openControl(args);
  const pipeline = await openAnyModel(args);
  try {
    const scheduler = samplerNamed(args.sampler, pipeline.scheduler, args);
    const drawing = { args, pipeline, scheduler, canvas, control, backend: name, path };
    const began = performance.now();
    const files = await untilStopped((signal) => drawAll(drawing, signal));
    const seconds = (performance.now() - began) / 1000;
    console.log(`Drew in ${seconds.toFixed(1)} s on ${name}${detail ? ` (${detail})` : ""}:\n${files.join("\n")}`);
  } finally {
    pipeline.dispose();
    control?.model.dispose();
    tf.dispose([canvas.image ?? [], canvas.mask ?? [], control?.image ?? []]);
  }
}

interface Drawing {
  args: PictureArguments;
  pipeline: DrawingModel | UnCLIPPipeline;
  scheduler: Scheduler;
  canvas: Canvas;
  control: Control | undefined;
  backend: string;
  /** The file of the picture, if it is one. */
  path: string;
}

/** Draws and writes one picture after the other, so that what is there stays if the rest is stopped. */
async function drawAll(drawing: Drawing, signal: AbortSignal): Promise<string[]> {
  const { prompts, count } = drawing.args;
  const total = prompts.length * count;
  const bar = new SingleBar(
    {
      format: "Picture {picture} {bar} {value}/{total} steps | {step} s a step | {eta_formatted} left",
      hideCursor: true,
      noTTYOutput: true,
      stopOnComplete: false,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  bar.start(total * stepCount(drawing.args), 0, { picture: `1/${total}`, step: "-" });
  try {
    const files: string[] = [];
    for (let i = 0; i < total; i++) {
      const file = total === 1 ? drawing.path : numbered(drawing.path, i + 1, total);
      let before = performance.now();
      await drawOne(
        drawing,
        { prompt: prompts[Math.floor(i / count)]!, seed: drawing.args.seed + (i % count), file },
        signal,
        (index, steps) => {
          const now = performance.now();
          bar.setTotal(total * steps);
          bar.update(i * steps + index + 1, { picture: `${i + 1}/${total}`, step: ((now - before) / 1000).toFixed(2) });
          before = now;
        },
      );
      files.push(file);
    }
    return files;
  } finally {
    bar.stop();
  }
}

/** One picture of a drawing. */
interface OnePicture {
  prompt: string;
  seed: number;
  file: string;
}

async function drawOne(
  drawing: Drawing,
  one: OnePicture,
  signal: AbortSignal,
  onStep: (index: number, total: number) => void,
): Promise<void> {
  const { images, latents } = await imagesOf(drawing, one, {
    signal,
    onStep: ({ index, total }) => onStep(index, total),
  });
  latents.dispose();
  const picture = tf.tidy(() => images.squeeze<tf.Tensor3D>([0]));
  images.dispose();
  try {
    const { args, scheduler, backend } = drawing;
    const { prompt, seed, file } = one;
    const text = pictureTexts(args, {
      prompt,
      seed,
      backend,
      sampler: scheduler.config._class_name,
      shape: picture.shape,
    });
    await writeOutput(file, await encodePng(picture, { text }));
  } finally {
    picture.dispose();
  }
}

/** Told after each step, and asked whether to stop. */
interface Watching {
  signal: AbortSignal;
  onStep: (step: { index: number; total: number }) => void;
}

/** One picture as its kind of model draws it. */
function imagesOf(
  { args, pipeline, scheduler, canvas, control }: Drawing,
  { prompt, seed }: OnePicture,
  watching: Watching,
): Promise<{ images: tf.Tensor4D; latents: tf.Tensor4D }> {
  const { guidance } = args;
  if (pipeline instanceof UnCLIPPipeline) {
    const isOff = guidance !== undefined && guidance <= 1;
    return pipeline.generate({
      prompt,
      seed,
      ...watching,
      ...stepOptions(args),
      priorNumInferenceSteps: args.steps,
      guidanceScale: guidance,
      priorGuidanceScale: isOff ? guidance : undefined,
    });
  }
  const options = {
    prompt,
    seed,
    scheduler,
    ...watching,
    ...stepOptions(args),
    guidanceScale: guidance,
    negativePrompt: args.negative,
    guidanceRescale: args.rescale,
  };
  if (!isLatent(pipeline)) return pipeline.generate(options);
  return pipeline.generate({
    ...options,
    ...canvas,
    control,
    // With a picture, the size is its own: it was scaled when it was read.
    ...(!canvas.image && { width: args.width, height: args.height }),
    clipSkip: args.clipSkip,
    promptWeighting: args.weighting,
    strength: args.strength,
    pasteBack: args.paste,
    maskBlur: args.maskBlur,
  });
}
