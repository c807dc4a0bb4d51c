import * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Plan, State } from "@tfjs-diffusion/schedulers";
import { binaryMask, blend, latentMask } from "./inpainting.js";
import type { LatentSpace } from "./latent-space.js";

/** Where sampling starts, and what is kept of a given picture on the way. Owns `tensors`. */
export interface Start {
  /** Index of the first call of the network. */
  first: number;
  state: () => State;
  /** Channels that the network sees behind those of the latents, [B, h, w, 1 + C]. */
  context?: tf.Tensor4D;
  mend?: (x: tf.Tensor4D, index: number) => tf.Tensor4D;
  tensors: tf.Tensor[];
}

/** What all kinds of start need. */
export interface StartRequest {
  plan: Plan;
  space: LatentSpace;
  /** Of the latents, [B, h, w, C]. */
  shape: [number, number, number, number];
  noise: NoiseSource;
  /** Noise to start from, if it is given. */
  latents: tf.Tensor4D | undefined;
}

/** Text to image: from pure noise. */
export function startFromNoise({ plan, shape, noise, latents }: StartRequest): Start {
  const initial = latents?.clone() ?? (noise.normal(shape) as tf.Tensor4D);
  return { first: 0, state: () => plan.start(initial), tensors: [initial] };
}

/** Where another pipeline stopped: the latents as they are. */
export function startFromLatents({ plan, latents }: StartRequest, first: number): Start {
  return { first, state: () => plan.resume(latents!.clone(), first), tensors: [] };
}

/** Image to image (Meng et al. 2022, "SDEdit"): from the picture, noised to the level of the first step. */
export function startFromImage(request: StartRequest, image: tf.Tensor4D, first: number): Start {
  const { plan, space, shape, noise, latents } = request;
  const initial = tf.tidy(() => {
    const clean = inBatch(space.encode(image, noise), shape);
    return plan.addNoise(clean, latents ?? noise.normal(shape), first);
  });
  return { first, state: () => plan.resume(initial, first), tensors: [initial] };
}

/**
 * Inpainting. A network of C channels knows nothing of masks: after each step what lies outside the mask is set to the picture,
 * noised to that step's level (Lugmayr et al. 2022, without its jumps). One of 2 C + 1 channels is shown the mask and the picture without
 * what the mask covers, and draws to fit. `fromNoise` starts from pure noise, otherwise from the noised picture.
 *
 * Noise is drawn as diffusers draws it, so that the same source gives the same picture: for the picture's latents, if they are needed,
 * the start, and the masked picture's latents, needed or not.
 */
export function startInpainting(
  request: StartRequest,
  { image, mask, first, fromNoise, contextual }: InpaintRequest,
): Start {
  const { plan, space, shape, noise, latents } = request;
  const [tensors, rest] = tf.tidy(() => {
    const needsClean = !contextual || !fromNoise;
    const clean = needsClean ? inBatch(space.encode(image, noise), shape) : undefined;
    const drawn = latents?.clone() ?? (noise.normal(shape) as tf.Tensor4D);
    const painted = binaryMask(mask);
    const small = inBatch(latentMask(painted, space.factor), [shape[0], shape[1], shape[2], 1]);
    const context = contextual ? contextChannels(space, image, painted, small, request) : undefined;
    if (!contextual) noise.normal([image.shape[0], ...shape.slice(1)]);
    const initial = fromNoise ? plan.start(drawn).x : plan.addNoise(clean!, drawn, first);
    return [[initial, drawn, small, clean ?? [], context ?? []].flat(), { initial, drawn, small, clean, context }];
  }) as [
    tf.Tensor[],
    { initial: tf.Tensor4D; drawn: tf.Tensor4D; small: tf.Tensor4D; clean?: tf.Tensor4D; context?: tf.Tensor4D },
  ];
  const { initial, drawn, small, clean, context } = rest;
  const isLast = (index: number) => index === plan.timesteps.length - 1;
  return {
    first,
    state: () => plan.resume(initial, first),
    context,
    mend: contextual
      ? undefined
      : (x, index) => {
          const kept = isLast(index) ? clean! : (plan.addNoise(clean!, drawn, index + 1) as tf.Tensor4D);
          return blend(kept, x, small);
        },
    tensors,
  };
}

/** What to paint. */
export interface InpaintRequest {
  /** [1 or B, H, W, 3] in [0, 1]. */
  image: tf.Tensor4D;
  /** [1 or B, H, W, 1] */
  mask: tf.Tensor4D;
  first: number;
  fromNoise: boolean;
  contextual: boolean;
}

/** The mask, and the latents of the picture with grey (0 of [-1, 1]) in its place. */
function contextChannels(
  space: LatentSpace,
  image: tf.Tensor4D,
  painted: tf.Tensor4D,
  small: tf.Tensor4D,
  { noise, shape }: StartRequest,
): tf.Tensor4D {
  const grey = tf.scalar(0.5);
  const masked = image.sub(grey).mul(tf.sub(1, painted)).add<tf.Tensor4D>(grey);
  return tf.concat([small, inBatch(space.encode(masked, noise), shape)], 3);
}

/** One row repeated for the whole batch; as many rows as the batch has stay as they are. */
function inBatch(x: tf.Tensor4D, [batch]: readonly number[]): tf.Tensor4D {
  return x.shape[0] === batch ? x : x.tile([batch! / x.shape[0], 1, 1, 1]);
}
