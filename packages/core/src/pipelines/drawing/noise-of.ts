import { channelsLast, keyedNoise, type NoiseSource } from "@tfjs-diffusion/schedulers";

/** The random numbers of a drawing, for tensors [B, H, W, C]: from the caller's source, or else from the seed. */
export function noiseOf({ noise, seed }: { noise?: NoiseSource; seed: number }): NoiseSource {
  return noise ? channelsLast(noise) : keyedNoise(seed);
}
