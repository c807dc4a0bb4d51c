import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import type { LoraSet } from "../adapters/lora.js";
import { type ChosenBackend, useBackend } from "../backend/use-backend.js";
import { isAutoencoder } from "../models/autoencoder/autoencoder.js";
import { type AnyPipeline, openPipeline, type TextPipeline } from "../pipelines/open-pipeline.js";
import { PipelineOptionError } from "../pipelines/options/errors.js";
import { takesOption } from "../pipelines/options/option.js";
import type { PipelineStep } from "../pipelines/pipeline-step.js";
import { onBytesReceived } from "../platform/steady-fetch.js";
import { arrayOf, imageOf, maskTensorOf, picturesOf } from "./pictures.js";
import type {
  DrawProgress,
  DrawRequest,
  LoadedPipeline,
  LoadProgress,
  LoadRequest,
  LoraRequest,
  WorkerDrawing,
} from "./pipeline-requests.js";
import type { TaskContext } from "./serve-tasks.js";

/** A pipeline that takes its options as messages. */
export class OpenedPipeline {
  private constructor(
    private readonly backend: ChosenBackend,
    private readonly pipeline: AnyPipeline,
  ) {}

  /** Starts the backend and opens a model. */
  static async open(request: LoadRequest, { signal, report }: TaskContext<LoadProgress>): Promise<OpenedPipeline> {
    const { from, backend: name, threads, wasmPaths, ...options } = request;
    const backend = await useBackend(name, { threads, wasmPaths });
    let received = 0;
    const stop = onBytesReceived((bytes) => report({ received: (received += bytes) }));
    try {
      const pipeline = await openPipeline(from, { ...options, signal, onProgress: report });
      return new OpenedPipeline(backend, pipeline);
    } finally {
      stop();
    }
  }

  describe(): LoadedPipeline {
    const { backend, pipeline } = this;
    const { input, options, scheduler } = pipeline;
    const taken = Object.keys(options).filter((name) => takesOption(options, name));
    return { backend, input, options: taken, scheduler: { ...scheduler.config } };
  }

  async addLora({ from, ...options }: LoraRequest): Promise<void> {
    await this.#loras("addLora").load(from, options);
  }

  /** @throws PipelineOptionError before any work */
  async draw(request: DrawRequest, { signal, report }: TaskContext<DrawProgress>): Promise<WorkerDrawing> {
    const { image, mask, scheduler, torchSeed, loras = {}, watch = [], ...plain } = request;
    const began = performance.now();
    for (const [name, scale] of Object.entries(loras)) this.#loras("loras").setScale(name, scale);
    const own: tf.Tensor[] = [];
    const kept = <T extends tf.Tensor>(tensor: T) => (own.push(tensor), tensor);
    try {
      const given = {
        ...plain,
        ...(image && { image: kept(imageOf(image)) }),
        ...(mask && { mask: kept(maskTensorOf(mask)) }),
        ...(scheduler && { scheduler: schedulerFromConfig(scheduler) }),
        ...(torchSeed !== undefined && { noise: torchNoise(torchSeed) }),
        ...this.#previews(watch),
        signal,
        onStep: async (step: PipelineStep<tf.Tensor>) => report(await watched(step, watch)),
      };
      // The pipeline itself refuses options that it does not take, and a missing prompt.
      const drawn = await (this.pipeline as TextPipeline).generate(given as Parameters<TextPipeline["generate"]>[0]);
      own.push(drawn.images, drawn.latents);
      return { pictures: await picturesOf(drawn.images), milliseconds: performance.now() - began };
    } finally {
      tf.dispose(own);
    }
  }

  dispose(): void {
    this.pipeline.dispose();
  }

  /** Pictures of steps in full size: with the decoder, where there is one. */
  #previews(watch: NonNullable<DrawRequest["watch"]>): object {
    const { options, parts } = this.pipeline;
    const { vae } = parts as { vae?: unknown };
    const isDecoded = watch.some((what) => what !== "numbers") && takesOption(options, "previewDecoder");
    return isDecoded && isAutoencoder(vae) ? { previewDecoder: vae } : {};
  }

  #loras(option: string): LoraSet {
    if ("loras" in this.pipeline) return this.pipeline.loras as LoraSet;
    throw new PipelineOptionError(`${option}: this pipeline takes no LoRAs; open Stable Diffusion.`);
  }
}

async function watched(step: PipelineStep<tf.Tensor>, watch: NonNullable<DrawRequest["watch"]>): Promise<DrawProgress> {
  const { index, total, step: samplerStep, steps, timestep } = step;
  const progress: DrawProgress = { index, total, step: samplerStep, steps, timestep };
  for (const what of watch) {
    if (what === "numbers") {
      const { latents, x0, output } = step;
      progress.numbers = { latents: await arrayOf(latents), x0: await arrayOf(x0), output: await arrayOf(output) };
    } else {
      const picture = step.preview(what === "x" ? step.latents : step.x0);
      progress[what] = await picturesOf(picture).finally(() => picture.dispose());
    }
  }
  return progress;
}
