import * as tf from "@tensorflow/tfjs";

/** At this scale or below, guidance is off and the unconditional output is not computed. */
const NO_GUIDANCE = 1;

export function needsGuidance(scale: number): boolean {
  return scale > NO_GUIDANCE;
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
