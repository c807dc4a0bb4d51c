import * as tf from "@tensorflow/tfjs";
import { brownianNoise } from "../noise/brownian.js";
import { keyedNoise } from "../noise/keyed-noise.js";

/**
 * The first numbers of every keyed stream, multiplied by 1 on the current backend. The multiplication moves the numbers
 * to the backend's memory.
 */
export async function streamsOnBackend(): Promise<number[][]> {
  const noise = keyedNoise(2 ** 40 + 3);
  const draws = [
    noise.normal([3, 5, 7]),
    noise.uniform([2, 33]),
    noise.at("step", 12).normal([4, 4]),
    brownianNoise(9, 0.1, 14).increment([6], 2, 3.5),
  ];
  const read = await Promise.all(draws.map((x) => tf.tidy(() => x.mul(1)).data()));
  tf.dispose(draws);
  return read.map((values) => [...values]);
}
