import { randomInt } from "node:crypto";
import { modelOf, requireArea, requireOption, samplerNamed, type ServerParts } from "../drawing.js";
import { ApiError } from "../errors.js";
import type { DrawJob, ModelInfo } from "../jobs/draw-job.js";
import { SPACINGS } from "../jobs/samplers.js";
import { pictureIn, STRENGTH } from "../sent-picture.js";
import type { ImageToImage, Overrides, TextToImage } from "./schemas.js";

/** Settings of all later requests, which clients set by POST /options. */
export interface WebuiOptions {
  model: string | undefined;
  /** Clip skip, counted from 1 as AUTOMATIC1111 does. */
  clipStop: number;
}

/** Pixels that a mask is softened by where a client gives none; AUTOMATIC1111's. */
const MASK_BLUR = 4;

/**
 * The job that a request asks for.
 *
 * @throws ApiError for what this model or this server cannot do
 */
export async function jobOf(
  parts: ServerParts,
  set: WebuiOptions,
  body: TextToImage | ImageToImage,
): Promise<{ job: DrawJob; model: ModelInfo }> {
  const { limits } = parts.settings;
  const { checkpoint, clipStop } = overriden(set, body.override_settings);
  const model = await modelOf(parts, checkpoint);
  const count = (body.batch_size ?? 1) * (body.n_iter ?? 1);
  requireMost("batch_size * n_iter", count, limits.pictures);
  const steps = body.steps ?? model.steps;
  requireMost("steps", steps, limits.steps);
  const [width, height] = [body.width ?? undefined, body.height ?? undefined];
  requireArea(model, "width, height", width ?? model.width, height ?? model.height, limits.area);
  const readsText = model.input === "text";
  if (!readsText && body.prompt) requireOption(model, "prompt", "prompt");
  const given = {
    prompt: readsText ? (body.prompt ?? "") : undefined,
    negativePrompt: body.negative_prompt || undefined,
    guidanceScale: body.cfg_scale ?? undefined,
    width,
    height,
    eta: body.eta ?? undefined,
    clipSkip: clipStop > 1 ? clipStop - 1 : undefined,
    // Brackets are weights there, always.
    promptWeighting: model.options.includes("promptWeighting") || undefined,
    ...("init_images" in body && imageOptions(body)),
  };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  for (const option of Object.keys(options)) requireOption(model, option, option);
  const scheduler = schedulerOf(model, body);
  const seed = body.seed == null || body.seed === -1 ? randomInt(2 ** 32) : body.seed;
  const job: DrawJob = {
    model: model.id,
    count,
    seed,
    previews: 0,
    ...(scheduler && { scheduler }),
    ...("init_images" in body && imagesOf(body, limits.sentPixels)),
    options: { ...(options as DrawJob["options"]), numInferenceSteps: steps },
  };
  return { job, model };
}

function overriden(set: WebuiOptions, overrides: Overrides | null | undefined) {
  const { sd_model_checkpoint, CLIP_stop_at_last_layers } = overrides ?? {};
  return { checkpoint: sd_model_checkpoint ?? set.model, clipStop: CLIP_stop_at_last_layers ?? set.clipStop };
}

function requireMost(param: string, value: number, most: number): void {
  if (value <= most) return;
  throw new ApiError(422, `${param} is ${value}; at most ${most} are drawn here.`, { param });
}

function schedulerOf(model: ModelInfo, { sampler_name, sampler_index, scheduler }: TextToImage) {
  const asked = sampler_name ?? sampler_index ?? undefined;
  // Older clients write both in one name: "DPM++ 2M Karras".
  const [, joined, spacing] = /^(.+) (Karras|Exponential)$/.exec(asked ?? "") ?? [];
  const name = joined ?? asked;
  const sampler = name === undefined ? undefined : samplerNamed(model, name);
  const wanted = spacing ?? scheduler ?? undefined;
  const spaced = wanted === undefined ? undefined : spacingNamed(wanted);
  return sampler || spaced ? { ...sampler, ...spaced } : undefined;
}

function spacingNamed(asked: string) {
  const same = (text: string) => text.toLowerCase() === asked.toLowerCase();
  const found = Object.entries(SPACINGS).find(([name, { label }]) => same(name) || same(label));
  if (found) return found[1].keys;
  throw new ApiError(404, `Scheduler not found: ${asked}. GET /sdapi/v1/schedulers lists them.`, {
    param: "scheduler",
  });
}

function imageOptions(body: ImageToImage): Record<string, number | boolean | undefined> {
  const strength = body.denoising_strength ?? STRENGTH;
  if (body.mask == null) return { strength };
  if (body.inpainting_fill !== 1) {
    throw new ApiError(422, "inpainting_fill: only 1, the picture itself, can be under the mask at the start.", {
      param: "inpainting_fill",
    });
  }
  return {
    strength,
    maskBlur: body.mask_blur ?? MASK_BLUR,
    paddingMaskCrop: (body.inpaint_full_res ?? true) ? (body.inpaint_full_res_padding ?? 0) : undefined,
  };
}

function imagesOf(body: ImageToImage, sentPixels: number): Pick<DrawJob, "image" | "mask" | "fit"> {
  const image = pictureIn("init_images", body.init_images[0]!, sentPixels);
  const fit = body.resize_mode === 1 ? "cut" : "stretch";
  if (body.mask == null) return { image, fit };
  const redrawn = body.inpainting_mask_invert === 1 ? "black" : "white";
  return { image, fit, mask: { data: pictureIn("mask", body.mask, sentPixels), redrawn } };
}
