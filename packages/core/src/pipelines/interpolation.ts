import * as tf from "@tensorflow/tfjs";
import { channelsLast, keyedNoise, type NoiseSource } from "@tfjs-diffusion/schedulers";
import { requireOption, requireWhole, texts } from "./options/option-checks.js";
import type { StableDiffusionOptions } from "./stable-diffusion/stable-diffusion-options.js";
import type { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import type { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import type { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";
import type { UnCLIPImageVariationOptions } from "./unclip/unclip-options.js";

/**
 * Vectors with a larger absolute cosine are nearly parallel: the arc between them is almost a line, and its formula
 * would divide by nearly 0.
 */
const PARALLEL = 0.9995;

/**
 * Spherical interpolation (Shoemake 1985): the point at `share` of the way from `a` to `b` on the arc between them. It
 * keeps the norm of noise and CLIP embeddings; the middle of the straight line has a smaller norm, and gives flat
 * pictures.
 *
 *     slerp(a, b, s) = sin((1 - s) angle) / sin(angle) a + sin(s angle) / sin(angle) b
 *
 * a, b [B, ...] of the same shape, each item with its own arc, or one vector [N]. Vectors that are nearly parallel,
 * nearly opposite or zero are interpolated on the line. At shares 0 and 1 the result is exactly `a` and `b`. The caller
 * owns the result.
 *
 * @throws RangeError if the shapes differ, or `share` is not in [0, 1]
 */
export function slerp<T extends tf.Tensor>(a: T, b: T, share: number): T {
  requireMixable("slerp", a, b, share);
  if (share === 0 || share === 1) return (share === 0 ? a : b).clone();
  return tf.tidy(() => {
    const axes = a.rank === 1 ? [0] : a.shape.map((_, axis) => axis).slice(1);
    const norm = (x: tf.Tensor) => tf.sqrt(tf.sum(tf.square(x), axes, true));
    const norms = norm(a).mul(norm(b));
    const cosine = tf.sum(a.mul(b), axes, true).divNoNan(norms);
    const isLine = cosine.abs().greater(PARALLEL).logicalOr(norms.equal(0));
    // Where the line is used, the arc is computed from a cosine of 0, to avoid a division by 0.
    const angle = tf.acos(tf.where(isLine, tf.zerosLike(cosine), cosine));
    const weight = (s: number) => tf.where(isLine, tf.fill(cosine.shape, s), angle.mul(s).sin().div(angle.sin()));
    return a.mul(weight(1 - share)).add<T>(b.mul(weight(share)));
  });
}

/**
 * The point at `share` of the way from `a` to `b` on the line between them; the caller owns it. Throws like {@link
 * slerp}.
 */
export function lerp<T extends tf.Tensor>(a: T, b: T, share: number): T {
  requireMixable("lerp", a, b, share);
  return tf.tidy(() => a.mul(1 - share).add<T>(b.mul(share)));
}

/**
 * Noise at `share` of the way from one source to another, by {@link slerp}. It is standard normal if both sources are
 * and they are independent.
 */
export function slerpNoise(first: NoiseSource, last: NoiseSource, share: number): NoiseSource {
  const [from, to] = [channelsLast(first), channelsLast(last)];
  return {
    normal: (shape) => tf.tidy(() => slerp(from.normal(shape), to.normal(shape), share)),
    uniform: (shape) => (share < 0.5 ? from : to).uniform(shape),
  };
}

/** One picture of an interpolation. */
export interface InterpolationFrame {
  readonly index: number;
  readonly total: number;
  /** Position between the two ends, from 0 to 1. */
  readonly share: number;
  /** [B, H, W, 3] in [0, 1]; the caller owns it. */
  readonly images: tf.Tensor4D;
}

/** How to interpolate: the number of pictures and their noise. */
export interface InterpolationOptions {
  /** Number of pictures, including both ends: 2 or more. */
  frames: number;
  /**
   * Seeds of the first and of the last picture; between them the noise is interpolated by {@link slerp}. Default [0,
   * 0], the same noise for all.
   */
  seeds?: [number, number];
}

type Mixed = "prompt" | "promptEmbeds" | "seed" | "noise" | "latents";

/**
 * Draws pictures between two prompts: the text states are interpolated along a line, the noise along an arc. The first
 * and the last picture are those of the prompts themselves. Leaving the loop or aborting the signal ends it.
 *
 * @throws PipelineOptionError
 */
export async function* interpolatePrompts(
  pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline,
  prompts: [string, string],
  { frames, seeds, clipSkip, ...options }: InterpolationOptions & Omit<StableDiffusionOptions, Mixed>,
): AsyncGenerator<InterpolationFrame, void, undefined> {
  requireFrames(frames, seeds);
  const [from, to] = texts("prompts", prompts) as [string, string];
  requireOption(prompts.length === 2, "prompts", prompts.length, "two, the first and the last");
  const { promptWeighting: weighting, maxEmbeddingsMultiples, commaPaddingBacktrack } = options;
  const reading = { clipSkip, weighting, maxEmbeddingsMultiples, commaPaddingBacktrack };
  const { first, last } = tf.tidy(() => {
    const read = (prompt: string, tokens?: number) => pipeline.encodePrompts([prompt], { ...reading, tokens });
    const both = [read(from), read(to)] as const;
    const lengths = both.map(({ promptEmbeds }) => promptEmbeds.shape[1]);
    const tokens = Math.max(...lengths);
    const [first, last] = lengths.every((length) => length === tokens) ? both : [read(from, tokens), read(to, tokens)];
    return { first, last };
  });
  try {
    for (const { noise, share, ...frame } of along(frames, seeds)) {
      const promptEmbeds = lerp(first.promptEmbeds, last.promptEmbeds, share);
      const pooled = first.pooledPromptEmbeds && lerp(first.pooledPromptEmbeds, last.pooledPromptEmbeds!, share);
      try {
        const given = pooled ? { promptEmbeds, pooledPromptEmbeds: pooled } : { promptEmbeds };
        const { images, latents } = await pipeline.generate({ ...options, ...given, noise });
        latents.dispose();
        yield { ...frame, share, images };
      } finally {
        tf.dispose([promptEmbeds, pooled ?? []]);
      }
    }
  } finally {
    tf.dispose([Object.values(first), Object.values(last)]);
  }
}

/**
 * Draws pictures between two pictures: their CLIP embeddings and the noise are interpolated by {@link slerp} (Ramesh et
 * al. 2022, section 3.2). Leaving the loop or aborting the signal ends it.
 *
 * @param pictures [H, W, 3] in [0, 1], each of any size; borrowed
 * @throws PipelineOptionError
 */
export async function* interpolateImages(
  pipeline: UnCLIPImageVariationPipeline,
  pictures: [tf.Tensor3D, tf.Tensor3D],
  {
    frames,
    seeds,
    ...options
  }: InterpolationOptions & Omit<UnCLIPImageVariationOptions, "image" | "imageEmbeddings" | "seed" | "noise">,
): AsyncGenerator<InterpolationFrame, void, undefined> {
  requireFrames(frames, seeds);
  requireOption(pictures.length === 2, "pictures", pictures.length, "two, the first and the last");
  const [from, to] = pictures;
  const { first, last } = tf.tidy(() => ({
    first: pipeline.imageEmbeddings(from),
    last: pipeline.imageEmbeddings(to),
  }));
  try {
    for (const { noise, share, ...frame } of along(frames, seeds)) {
      const imageEmbeddings = slerp(first, last, share);
      try {
        const { images, latents } = await pipeline.generate({ ...options, imageEmbeddings, noise });
        latents.dispose();
        yield { ...frame, share, images };
      } finally {
        imageEmbeddings.dispose();
      }
    }
  } finally {
    tf.dispose([first, last]);
  }
}

function* along(total: number, [from, to]: [number, number] = [0, 0]) {
  for (let index = 0; index < total; index++) {
    const share = index / (total - 1);
    yield { index, total, share, noise: slerpNoise(keyedNoise(from), keyedNoise(to), share) };
  }
}

function requireFrames(frames: number, seeds: readonly number[] = [0, 0]): void {
  requireWhole("frames", frames, 2);
  const arePair = seeds.length === 2 && seeds.every((seed) => Number.isSafeInteger(seed));
  requireOption(
    arePair,
    "seeds",
    `[${String(seeds)}]`,
    "two whole numbers, the seeds of the first and of the last picture",
  );
}

function requireMixable(name: string, a: tf.Tensor, b: tf.Tensor, share: number): void {
  if (a.shape.join() !== b.shape.join()) {
    throw new RangeError(
      `${name}: a is [${a.shape.join(", ")}] and b [${b.shape.join(", ")}]; give tensors of the same shape.`,
    );
  }
  if (!(share >= 0 && share <= 1)) throw new RangeError(`${name}: share is ${share}; expected a number from 0 to 1.`);
}
