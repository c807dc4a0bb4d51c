export { keyedNoise, keyedRandom, permutation, type KeyedNoise, type RandomNumbers } from "./keyed-noise.js";
export type { NoiseSource } from "./noise.js";
