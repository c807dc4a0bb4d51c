import { encodePng } from "@tfjs-diffusion/core";
import * as tf from "@tensorflow/tfjs";
import type { DrawJob, DrawnPicture, JobQueue, ModelInfo, SubmitOptions } from "../jobs/draw-job.js";
import { LIMITS, type ServerLimits, type ServerSettings } from "../settings.js";

/** A model that takes every option which a server may give. */
export const FAKE_MODEL: ModelInfo = {
  id: "fake",
  input: "text",
  width: 32,
  height: 32,
  options: [
    ...["prompt", "negativePrompt", "numInferenceSteps", "guidanceScale", "width", "height", "eta", "clipSkip"],
    ...["image", "mask", "strength", "pasteBack", "maskBlur", "paddingMaskCrop", "promptWeighting"],
  ],
  steps: 20,
  guidance: 3,
  samplers: ["Euler", "DPM++ 2M"],
  sampler: "DDIM",
};

/** A queue that notes its jobs and answers with grey pictures, so that routes are tested without a model. */
export class FakeQueue implements JobQueue {
  readonly jobs: DrawJob[] = [];
  /** The signals of the jobs, in their order. */
  readonly signals: AbortSignal[] = [];
  /** Set to let jobs wait until they are aborted. */
  isStuck = false;
  isClosed = false;

  models(): Promise<readonly ModelInfo[]> {
    return Promise.resolve([FAKE_MODEL]);
  }

  state(): Promise<{ waiting: number; running: number }> {
    return Promise.resolve({ waiting: 0, running: 0 });
  }

  async submit(job: DrawJob, { signal, onEvent }: SubmitOptions): Promise<readonly DrawnPicture[]> {
    this.jobs.push(job);
    this.signals.push(signal);
    if (this.isStuck) {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    }
    const pictures = await Promise.all(Array.from({ length: job.count }, (_, i) => picture(job.seed + i)));
    pictures.forEach((picture, index) => onEvent?.({ type: "picture", index, picture }));
    return pictures;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

async function picture(seed: number): Promise<DrawnPicture> {
  const png = await greyPng(32, 32);
  return { png: png.toString("base64"), seed, width: 32, height: 32, text: "grey" };
}

/** A grey PNG file. */
export async function greyPng(width: number, height: number): Promise<Buffer> {
  const grey = tf.fill<tf.Rank.R3>([height, width, 3], 0.5);
  try {
    return Buffer.from(await encodePng(grey));
  } finally {
    grey.dispose();
  }
}

/** Settings of a server on this machine, at a free port. */
export function localSettings(more: Partial<ServerSettings> = {}, limits: Partial<ServerLimits> = {}): ServerSettings {
  return {
    host: "127.0.0.1",
    port: 0,
    allowedHosts: [],
    allowedOrigins: [],
    aliases: new Map([["dall-e-2", "fake"]]),
    ...more,
    limits: { ...LIMITS, ...limits },
  };
}
