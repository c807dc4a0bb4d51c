import { basename } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { encodePng, type Pipeline } from "@tfjs-diffusion/core";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { Presets, SingleBar } from "cli-progress";
import { type Beside, disposeBeside, openBeside } from "../files/open-beside.js";
import { openModel, pipelineKind } from "../files/open-model.js";
import { numbered, outputFile, writeOutput } from "../files/output-file.js";
import { type Canvas, readCanvas } from "../files/read-picture.js";
import { backendFor } from "../options/backend-for.js";
import { pipelineOptions, requireInput } from "../options/fit-to-pipeline.js";
import {
  EDIT_HELP,
  GENERATE_HELP,
  type PictureArguments,
  readEditArguments,
  readGenerateArguments,
} from "../options/picture-arguments.js";
import { pictureTexts } from "../options/picture-settings.js";
import { samplerNamed } from "../options/samplers.js";
import { stepCount, withSteps } from "../options/steps.js";
import type { TableValues } from "../options/table-options.js";
import { untilStopped } from "../terminal/stopped.js";

/** `diffusion generate`: draws pictures. */
export async function generate(args: string[]): Promise<void> {
  const wanted = readGenerateArguments(args);
  if (wanted === "help") console.log(GENERATE_HELP);
  else await drawPictures(wanted);
}

/** `diffusion edit`: draws over a picture. */
export async function edit(args: string[]): Promise<void> {
  const wanted = readEditArguments(args);
  if (wanted === "help") console.log(EDIT_HELP);
  else await drawPictures(wanted);
}

async function drawPictures(args: PictureArguments): Promise<void> {
  const { options: table } = await pipelineKind(args);
  const options = withSteps(args.options, table.numInferenceSteps!.default as number);
  const path = outputFile(args.out, args.prompts[0] ?? basename(args.model));
  const { name, detail } = await backendFor(args.backend, args.model);
  const canvas = await readCanvas(args);
  const beside = await openBeside(args);
  const pipeline = await openModel(args);
  try {
    requireInput(args, pipeline.input);
    const scheduler = samplerNamed(args.sampler, pipeline.scheduler, options);
    const drawing = { args, options, pipeline, scheduler, canvas, beside, backend: name, path };
    const began = performance.now();
    const files = await untilStopped((signal) => drawAll(drawing, signal));
    const seconds = (performance.now() - began) / 1000;
    console.log(`Drew in ${seconds.toFixed(1)} s on ${name}${detail ? ` (${detail})` : ""}:\n${files.join("\n")}`);
  } finally {
    pipeline.dispose();
    disposeBeside(beside);
    tf.dispose([canvas.image ?? [], canvas.mask ?? []]);
  }
}

interface Drawing {
  args: PictureArguments;
  /** Those of the arguments, with a number of steps. */
  options: TableValues;
  pipeline: Pipeline<object>;
  scheduler: Scheduler;
  canvas: Canvas;
  beside: Beside;
  backend: string;
  /** The file, if there is one picture only. */
  path: string;
}

/** What a picture shows: a prompt, a class, or, for other pipelines, neither. */
type Subject = { prompt?: string; classLabels?: readonly number[] };

function subjectsOf({ prompts, options: { classLabels } }: PictureArguments): Subject[] {
  if (prompts.length > 0) return prompts.map((prompt) => ({ prompt }));
  return classLabels ? classLabels.map((label) => ({ classLabels: [label] })) : [{}];
}

/** Draws and writes one picture after the other, so that the finished ones are kept if the command is stopped. */
async function drawAll(drawing: Drawing, signal: AbortSignal): Promise<string[]> {
  const { count, seed } = drawing.args;
  const subjects = subjectsOf(drawing.args);
  const total = subjects.length * count;
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
  bar.start(total * stepCount(drawing.options), 0, { picture: `1/${total}`, step: "-" });
  try {
    const files: string[] = [];
    for (let i = 0; i < total; i++) {
      const file = total === 1 ? drawing.path : numbered(drawing.path, i + 1, total);
      const began = performance.now();
      const onStep = ({ step, steps }: { step: number; steps: number }) => {
        const seconds = (performance.now() - began) / 1000;
        bar.setTotal(total * steps);
        bar.update(i * steps + step + 1, { picture: `${i + 1}/${total}`, step: (seconds / (step + 1)).toFixed(2) });
      };
      const subject = subjects[Math.floor(i / count)]!;
      await drawOne(drawing, { ...subject, seed: seed + (i % count), file }, { signal, onStep });
      files.push(file);
    }
    return files;
  } finally {
    bar.stop();
  }
}

async function drawOne(
  { args, options: given, pipeline, scheduler, canvas, beside, backend }: Drawing,
  { seed, file, ...subject }: Subject & { seed: number; file: string },
  watching: { signal: AbortSignal; onStep: (step: { step: number; steps: number }) => void },
): Promise<void> {
  const options = { ...given, ...subject };
  const made = { scheduler: args.sampler && scheduler, ...beside, ...canvas };
  const { images, latents } = await pipeline.generate({ ...pipelineOptions(args, options, made), seed, ...watching });
  latents.dispose();
  const picture = tf.tidy(() => images.squeeze<tf.Tensor3D>([0]));
  images.dispose();
  try {
    const { prompt, ...others } = options;
    const sampler = scheduler.config._class_name;
    const text = pictureTexts(args, { prompt, options: others, seed, backend, sampler, shape: picture.shape });
    await writeOutput(file, await encodePng(picture, { text }));
  } finally {
    picture.dispose();
  }
}
