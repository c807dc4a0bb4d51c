import * as tf from "@tensorflow/tfjs";
import {
  decodeImage,
  decodeMask,
  encodePng,
  ImageError,
  openPipeline,
  type Pipeline,
  PipelineOptionError,
} from "@tfjs-diffusion/core";
import { decodeOpacity, resizeBicubic } from "@tfjs-diffusion/core/image";
import { ModelInputError } from "@tfjs-diffusion/core/models";
import { takesOption } from "@tfjs-diffusion/core/pipelines";
import { type Scheduler, SchedulerConfigError } from "@tfjs-diffusion/schedulers";
import { modelFrom } from "../../options/model-from.js";
import { SHIPPED, type ShippedName } from "../../options/shipped.js";
import { type DrawEvent, type DrawJob, type DrawnPicture, DrawRequestError, type ModelInfo } from "./draw-job.js";
import { infoText } from "./info-text.js";
import { samplerNameOf, samplersFor, schedulerWith } from "./samplers.js";

/** Steps of a picture where neither the client nor the model has a number. */
const STEPS = 20;

/** Errors that say what is wrong with a request. */
const OF_THE_REQUEST = [PipelineOptionError, ImageError, ModelInputError, SchedulerConfigError];

/** A model that is open. */
interface OpenModel {
  pipeline: Pipeline<object>;
  info: ModelInfo;
}

/** What is told while a job is drawn, and how it is stopped. */
export interface Watching {
  signal: AbortSignal;
  onEvent: (event: DrawEvent) => void;
}

/** Draws jobs with the models it has opened, one after the other. */
export class Drawer {
  readonly #models = new Map<string, OpenModel>();

  /**
   * Opens the models, and draws one step with each: a model that cannot draw is found now, and not by a client.
   *
   * @throws the errors of openPipeline
   */
  static async open(names: readonly string[]): Promise<Drawer> {
    const drawer = new Drawer();
    try {
      for (const name of names) {
        const pipeline: Pipeline<object> = await openPipeline(modelFrom(name));
        drawer.#models.set(name, { pipeline, info: await infoOf(name, pipeline) });
      }
      return drawer;
    } catch (error) {
      drawer.dispose();
      throw error;
    }
  }

  get models(): ModelInfo[] {
    return [...this.#models.values()].map(({ info }) => info);
  }

  /** @throws DrawRequestError for a job that cannot be drawn; the signal's reason */
  async draw(job: DrawJob, watching: Watching): Promise<DrawnPicture[]> {
    const model = this.#models.get(job.model);
    if (!model) throw new DrawRequestError(`The model ${job.model} is not open here.`);
    try {
      return await drawAll(model, job, watching);
    } catch (error) {
      if (!OF_THE_REQUEST.some((kind) => error instanceof kind)) throw error;
      throw new DrawRequestError((error as Error).message, { cause: error });
    }
  }

  dispose(): void {
    for (const { pipeline } of this.#models.values()) pipeline.dispose();
  }
}

async function infoOf(id: string, pipeline: Pipeline<object>): Promise<ModelInfo> {
  const { input, options, scheduler } = pipeline;
  const image = input === "image" ? { image: tf.fill([64, 64, 3], 0.5) } : {};
  try {
    const subject = { ...(input === "text" && { prompt: "" }), ...(input === "class" && { classLabels: [0] }) };
    const { images, latents } = await pipeline.generate({ ...subject, ...image, numInferenceSteps: 1 });
    const [, height, width] = images.shape;
    tf.dispose([images, latents]);
    const shipped = Object.hasOwn(SHIPPED, id) ? SHIPPED[id as ShippedName] : undefined;
    const own = (name: string, fallback: number) => (options[name]?.default as number | undefined) ?? fallback;
    const steps = shipped?.steps ?? own("numInferenceSteps", STEPS);
    return {
      id,
      input,
      width,
      height,
      options: Object.keys(options).filter((option) => takesOption(options, option)),
      steps,
      guidance: shipped?.guidance ?? own("guidanceScale", 1),
      samplers: samplersFor(scheduler, steps),
      sampler: samplerNameOf(scheduler),
    };
  } finally {
    tf.dispose(image);
  }
}

async function drawAll({ pipeline, info }: OpenModel, job: DrawJob, watching: Watching): Promise<DrawnPicture[]> {
  const { options, count, seed } = job;
  const steps = (options.numInferenceSteps as number | undefined) ?? info.steps;
  const scheduler = job.scheduler && askedScheduler(pipeline.scheduler, job.scheduler, steps);
  const size = sizeOf(job, info);
  const canvas = await canvasOf(job, size);
  const taken = {
    ...(takesOption(pipeline.options, "guidanceScale") && { guidanceScale: info.guidance }),
    ...options,
    ...(takesOption(pipeline.options, "numInferenceSteps") && { numInferenceSteps: steps }),
    ...(scheduler && { scheduler }),
    ...canvas,
    // What the mask leaves is left as it was.
    ...(canvas.mask && takesOption(pipeline.options, "pasteBack") && { pasteBack: true }),
  };
  try {
    const drawn: DrawnPicture[] = [];
    for (let index = 0; index < count; index++) {
      const own = { ...taken, seed: seed + index };
      const drawing = { pipeline, job, own, size, index, scheduler: scheduler ?? pipeline.scheduler };
      const picture = await drawOne(drawing, watching);
      watching.onEvent({ type: "picture", index, picture });
      drawn.push(picture);
    }
    return drawn;
  } finally {
    tf.dispose(canvas);
  }
}

/** @throws DrawRequestError if it cannot make these steps */
function askedScheduler(own: Scheduler, keys: Readonly<Record<string, unknown>>, steps: number): Scheduler {
  try {
    return schedulerWith(own, keys, steps);
  } catch (error) {
    throw new DrawRequestError((error as Error).message, { cause: error });
  }
}

interface Drawing {
  pipeline: Pipeline<object>;
  job: DrawJob;
  own: { seed: number };
  /** Of the pictures. */
  size: Size;
  index: number;
  scheduler: Scheduler;
}

async function drawOne({ pipeline, job, own, size, index, scheduler }: Drawing, { signal, onEvent }: Watching) {
  const { images, latents } = await pipeline.generate({
    ...own,
    signal,
    onStep: async (step: PreviewedStep) => {
      const preview = isPreviewed(step, job.previews) ? await previewOf(step, size) : undefined;
      const { step: count, steps, timestep } = step;
      onEvent({ type: "step", picture: index, step: count, steps, timestep, ...(preview && { preview }) });
    },
  });
  latents.dispose();
  try {
    const [, height, width] = images.shape;
    const text = infoText({ ...own, width, height, model: job.model, sampler: samplerNameOf(scheduler) });
    return { png: await pngOf(images, { parameters: text }), seed: own.seed, width, height, text };
  } finally {
    images.dispose();
  }
}

/** A step of any pipeline, as far as it is watched here. */
interface PreviewedStep {
  step: number;
  steps: number;
  timestep: number;
  preview(): tf.Tensor4D;
}

/** Whether a step shows one of so many previews, which are spread evenly between the first and the last step. */
function isPreviewed({ step, steps }: PreviewedStep, previews: number): boolean {
  const at = Array.from({ length: previews }, (_, i) => Math.round(((i + 1) * steps) / (previews + 1)) - 1);
  return step < steps - 1 && at.includes(step);
}

/** A preview, enlarged to the picture's size. */
async function previewOf(step: PreviewedStep, [height, width]: Size): Promise<string> {
  const preview = tf.tidy<tf.Tensor4D>(() => tf.clipByValue(resizeBicubic(step.preview(), height, width), 0, 1));
  try {
    return await pngOf(preview);
  } finally {
    preview.dispose();
  }
}

/** The only picture of a batch as a PNG file in base64. */
async function pngOf(images: tf.Tensor4D, text?: Record<string, string>): Promise<string> {
  const picture = images.squeeze<tf.Tensor3D>([0]);
  try {
    return Buffer.from(await encodePng(picture, { ...(text && { text }) })).toString("base64");
  } finally {
    picture.dispose();
  }
}

/**
 * The picture and the mask that a job starts from, at the size that is drawn; the caller owns them. Where only the part
 * around the mask is drawn, the picture keeps its size.
 */
async function canvasOf(job: DrawJob, drawn: Size): Promise<{ image?: tf.Tensor; mask?: tf.Tensor }> {
  if (job.image === undefined) return {};
  const file = Buffer.from(job.image, "base64");
  const decoded = await decodeImage(file);
  const [rows, columns] = decoded.shape;
  const size: Size = job.options.paddingMaskCrop === undefined ? drawn : [rows, columns];
  const fit = job.fit === "stretch" ? (x: tf.Tensor3D) => x : (x: tf.Tensor3D) => cut(x, size);
  const image = replaced(decoded, (x) => resizedBicubic(fit(x), size));
  try {
    const mask = await maskOf(job, file);
    return mask ? { image, mask: replaced(mask, (x) => resizedNearest(fit(x), size)) } : { image };
  } catch (error) {
    image.dispose();
    throw error;
  }
}

/** Height and width. */
type Size = [number, number];

function sizeOf({ options }: DrawJob, info: ModelInfo): Size {
  const { width = info.width, height = info.height } = options as { width?: number; height?: number };
  return [height, width];
}

/** A mask that is 1 where the picture is drawn anew, [H, W, 1]; the caller owns it. */
async function maskOf({ mask, isMaskedByAlpha }: DrawJob, image: Buffer): Promise<tf.Tensor3D | undefined> {
  if (!mask && !isMaskedByAlpha) return undefined;
  const file = mask ? Buffer.from(mask.data, "base64") : image;
  const inverted = (x: tf.Tensor3D) => tf.sub<tf.Tensor3D>(1, x);
  if (mask && mask.redrawn !== "transparent") {
    const white = await decodeMask(file);
    return mask.redrawn === "white" ? white : replaced(white, inverted);
  }
  const opacity = await decodeOpacity(file);
  if (opacity) return replaced(opacity, inverted);
  if (!mask) return undefined;
  throw new DrawRequestError(
    "mask: the picture has no transparent pixels. Make the parts transparent that shall be drawn anew.",
  );
}

/** The result of `change`, which replaces the tensor. */
function replaced(x: tf.Tensor3D, change: (x: tf.Tensor3D) => tf.Tensor3D): tf.Tensor3D {
  const result = tf.tidy(() => change(x).clone());
  x.dispose();
  return result;
}

function resizedBicubic(x: tf.Tensor3D, [height, width]: Size): tf.Tensor3D {
  if (x.shape[0] === height && x.shape[1] === width) return x;
  return resizeBicubic(x.expandDims<tf.Tensor4D>(0), height, width).clipByValue(0, 1).squeeze<tf.Tensor3D>([0]);
}

function resizedNearest(x: tf.Tensor3D, size: Size): tf.Tensor3D {
  return tf.image.resizeNearestNeighbor(x, size, false, true);
}

/** The largest part around the middle that has the shape of the size. */
function cut(picture: tf.Tensor3D, [height, width]: Size): tf.Tensor3D {
  const [rows, columns] = picture.shape;
  const scale = Math.min(rows / height, columns / width);
  const [high, wide] = [height, width].map((side) => Math.max(1, Math.round(side * scale))) as Size;
  return picture.slice([(rows - high) >> 1, (columns - wide) >> 1, 0], [high, wide, -1]);
}
