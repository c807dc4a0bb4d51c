import * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Plan, State } from "@tfjs-diffusion/schedulers";
import { binaryMask, blend, latentMask } from "./inpainting.js";
import type { LatentSpace } from "./latent-space.js";

/** The start of the sampling, and what is kept of a given picture at each step. Owns `tensors`. */
export interface Start {
  /** Index of the first call of the network. */
  first: number;
  state: () => State;
  /** Channels that are joined to the latents as the network's input, [B, h, w, 1 + C]. */
  context?: tf.Tensor4D;
  restore?: (x: tf.Tensor4D, index: number) => tf.Tensor4D;
  tensors: tf.Tensor[];
}

/** The arguments of all kinds of start. */
export interface StartRequest {
  plan: Plan;
  space: LatentSpace;
  /** Shape of the latents, [B, h, w, C]. */
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

/** Continues from another pipeline's latents. */
export function startFromLatents({ plan, latents }: StartRequest, first: number): Start {
  return { first, state: () => plan.resume(latents!.clone(), first), tensors: [] };
}

/** Image to image (Meng et al. 2022, "SDEdit"): from the picture, with noise of the first step's level. */
export function startFromImage(request: StartRequest, image: tf.Tensor4D, first: number): Start {
  const { plan, space, shape, noise, latents } = request;
  const initial = tf.tidy(() => {
    const clean = inBatch(space.encode(image, noise), shape);
    return plan.addNoise(clean, latents ?? noise.normal(shape), first);
  });
  return { first, state: () => plan.resume(initial, first), tensors: [initial] };
}

/**
 * Inpainting. A network of C channels does not read masks: after each step the latents outside the mask are set to the
 * picture, with noise of that step's level, and after the last step to the picture itself (Lugmayr et al. 2022, without
 * its jumps). A network of 2 C + 1 channels also reads the mask and the picture without the masked region. If the
 * picture's own pixels are pasted back in the end, its latents outside the mask are kept as well, so that the painted
 * region fits them. `fromNoise` starts from pure noise, otherwise it starts from the picture with noise.
 *
 * Noise is drawn in the order of diffusers, so that the same source gives the same picture: for the picture's latents,
 * if they are needed, then for the start, then for the masked picture's latents, needed or not.
 */
export function startInpainting(
  request: StartRequest,
  {
    image,
    mask,
    first,
    end,
    fromNoise,
    contextual,
    keepsLatents,
  }: Painting & { image: tf.Tensor4D; fromNoise: boolean },
): Start {
  const { plan, space, shape, noise, latents } = request;
  const made = tf.tidy(() => {
    const clean = keepsLatents || !fromNoise ? inBatch(space.encode(image, noise), shape) : undefined;
    const drawn = latents?.clone() ?? (noise.normal(shape) as tf.Tensor4D);
    const seen = seenOf(request, mask, contextual ? image : undefined);
    if (!contextual) noise.normal([image.shape[0], ...shape.slice(1)]);
    const initial = fromNoise ? plan.start(drawn).x : plan.addNoise(clean!, drawn, first);
    return { ...seen, initial, drawn, clean };
  }) as Seen & { initial: tf.Tensor4D; drawn: tf.Tensor4D; clean?: tf.Tensor4D };
  const { initial, drawn, small, clean, context } = made;
  return {
    first,
    state: () => plan.resume(initial, first),
    context,
    restore: keepsLatents
      ? keepOutside(plan, small, clean!, drawn, contextual ? plan.timesteps.length : end)
      : undefined,
    tensors: tf.tensor_util.getTensorsInContainer({ ...made }),
  };
}

/**
 * Continues another pipeline's inpainting. For a network of C channels the latents already hold the picture outside the
 * mask, and it is kept there. A network of 2 C + 1 channels reads `image` again.
 */
export function resumeInpainting(
  request: StartRequest,
  { image, mask, first, end, contextual, keepsLatents }: Painting & { image?: tf.Tensor4D },
): Start {
  const { plan, space, shape, noise, latents } = request;
  const made = tf.tidy(() => ({
    clean: contextual && keepsLatents ? inBatch(space.encode(image!, noise), shape) : undefined,
    drawn: keepsLatents ? noise.normal(shape) : undefined,
    ...seenOf(request, mask, contextual ? image : undefined),
  })) as Seen & { clean?: tf.Tensor4D; drawn?: tf.Tensor4D };
  const { clean, drawn, small, context } = made;
  return {
    ...startFromLatents(request, first),
    context,
    restore: drawn && keepOutside(plan, small, clean ?? latents!, drawn, contextual ? plan.timesteps.length : end),
    tensors: tf.tensor_util.getTensorsInContainer({ ...made }),
  };
}

/** The arguments of inpainting. */
export interface Painting {
  /** [1 or B, H, W, 3] in [0, 1]. */
  image?: tf.Tensor4D;
  /** [1 or B, H, W, 1] */
  mask: tf.Tensor4D;
  /** The calls of the network that are made. */
  first: number;
  end: number;
  /** Whether the network reads the mask and the masked picture. */
  contextual: boolean;
  /** Whether latents outside the mask are set to the picture's after each step. */
  keepsLatents: boolean;
}

/** The mask of the latents, [B, h, w, 1], and the further input of a network that reads masks. */
type Seen = { small: tf.Tensor4D; context?: tf.Tensor4D };

/** The mask and the latents of the picture, whose masked region is grey (0 in [-1, 1]). */
function seenOf({ space, noise, shape }: StartRequest, mask: tf.Tensor4D, image: tf.Tensor4D | undefined): Seen {
  const [batch, height, width] = shape;
  const painted = binaryMask(mask);
  const small = inBatch(latentMask(painted, space.factor), [batch, height, width, 1]);
  if (!image) return { small };
  const grey = tf.scalar(0.5);
  const masked = image.sub(grey).mul(tf.sub(1, painted)).add<tf.Tensor4D>(grey);
  return { small, context: tf.concat([small, inBatch(space.encode(masked, noise), shape)], 3) };
}

/**
 * Sets latents outside the mask to the clean ones with noise of the next step's level; after the last call, `end` - 1,
 * without noise.
 */
function keepOutside(plan: Plan, mask: tf.Tensor4D, clean: tf.Tensor4D, noise: tf.Tensor4D, end: number) {
  return (x: tf.Tensor4D, index: number): tf.Tensor4D => {
    const kept = index === end - 1 ? clean : (plan.addNoise(clean, noise, index + 1) as tf.Tensor4D);
    return blend(kept, x, mask);
  };
}

/** Repeats a single row for the whole batch; a full batch is returned unchanged. */
function inBatch(x: tf.Tensor4D, [batch]: readonly number[]): tf.Tensor4D {
  return x.shape[0] === batch ? x : x.tile([batch! / x.shape[0], 1, 1, 1]);
}
