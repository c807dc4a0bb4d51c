import * as tf from "@tensorflow/tfjs";
import { guide } from "@tfjs-diffusion/schedulers";
import type { DenoiserSizes } from "../../models/denoiser.js";
import { isRefusedPromise } from "../../platform/refused-promise.js";
import { PipelinePartsError } from "../options/errors.js";
import { classNameOf, shown } from "../options/shown.js";

/** At this scale or below, guidance is off and the unconditional output is not computed. */
const NO_GUIDANCE = 1;

export function needsGuidance(scale: number): boolean {
  return scale > NO_GUIDANCE;
}

/** How strongly to lead away from the first half of a batch, the negative one. */
export interface Guidance {
  scale: number;
  /** How much of the contrast added by guidance is removed, 0 to 1. */
  rescale?: number;
}

/**
 * What a network predicts for x [B, H, W, C]. With guidance it is called once for both halves of a batch of twice the
 * size. Variances in the second half of its channels are not guided: those of the second half of the batch remain.
 *
 * @param call passes its argument to the network, with the other inputs
 * @throws PipelinePartsError if the network, which may be of a class of one's own, returns anything but a tensor of its
 *   `outChannels`
 */
export function predictGuided(
  network: DenoiserSizes,
  x: tf.Tensor4D,
  call: (batch: tf.Tensor4D) => tf.Tensor4D,
  guidance?: Guidance,
): tf.Tensor4D {
  const batch = guidance ? tf.concat([x, x]) : x;
  const output = requireOutput(network, call(batch), [...batch.shape.slice(0, 3), network.outChannels]);
  if (!guidance) return output;
  const { scale, rescale } = guidance;
  const [unconditional, conditional] = tf.split(output, 2) as [tf.Tensor4D, tf.Tensor4D];
  if (network.outChannels !== 2 * x.shape[3]) return guide(unconditional, conditional, scale, rescale);
  const [prediction, variance] = tf.split(conditional, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
  const [without] = tf.split(unconditional, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
  return tf.concat([guide(without, prediction, scale, rescale), variance], 3);
}

/** The prediction without the variances that some networks put into the second half of their channels. */
export function predictionIn<T extends tf.Tensor>(output: T, x: tf.Tensor): T {
  return output.shape.at(-1) === x.shape.at(-1) ? output : (tf.split(output, 2, -1)[0] as T);
}

/** @throws PipelinePartsError that names the network's class, unless the output is a tensor of this shape */
function requireOutput(network: object, output: unknown, shape: readonly number[]): tf.Tensor4D {
  if (output instanceof tf.Tensor && (output as tf.Tensor).shape.join() === shape.join()) return output as tf.Tensor4D;
  throw new PipelinePartsError(
    `The forward of the denoiser (class ${classNameOf(network)}) returned ${shown(output)}; expected a tensor ` +
      `[${shape.join(", ")}], [B, H, W, outChannels]${isRefusedPromise(output) ? ", and no promise: it must be synchronous" : ""}.`,
  );
}

const f32 = Math.fround;

/**
 * The embedding of the guidance scale for a network that was distilled with guidance (Meng et al. 2023; Luo et al.
 * 2023, section 4.3): sines and cosines of 1000 (scale - 1), [batch, width]. The caller owns it. It is computed in
 * float32 throughout, as in training: at a scale of 8 the rounding of the angles changes the fourth digit of their
 * sines.
 */
export function guidanceEmbedding(scale: number, width: number, batch: number): tf.Tensor2D {
  const half = Math.floor(width / 2);
  const decay = f32(-Math.log(10000) / (half - 1));
  const w = f32(f32(scale - 1) * 1000);
  const angles = Array.from({ length: half }, (_, i) => f32(w * f32(Math.exp(f32(i * decay)))));
  const row = [...angles.map(Math.sin), ...angles.map(Math.cos), ...Array<number>(width % 2).fill(0)];
  return tf.tidy(() => tf.tensor2d([row]).tile<tf.Tensor2D>([batch, 1]));
}
