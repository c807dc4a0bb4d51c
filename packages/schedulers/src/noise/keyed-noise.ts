import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";
import { threefry2x32 } from "./threefry.js";

/** Plain random numbers, for code that does not work on tensors. */
export interface RandomNumbers {
  /** Uniform in [0, 1), a multiple of 2^-53. */
  uniform(): number;
  /** A whole number from 0 to n - 1. */
  integer(n: number): number;
}

/**
 * Noise that depends only on a seed, a path and the number of draws: the same numbers on every machine and backend.
 */
export interface KeyedNoise extends NoiseSource {
  /**
   * An independent stream, named by numbers and words. Pure: the same path always gives the same stream, from its
   * beginning.
   */
  at(...path: readonly (number | string)[]): KeyedNoise;
  /** Plain random numbers of this stream; every call starts from the beginning. */
  random(): RandomNumbers;
}

type Key = readonly [number, number];

/**
 * A stream of noise with the generator Threefry (Salmon et al. 2011).
 * @throws RangeError unless the seed is a safe integer; 0 is not special
 */
export function keyedNoise(seed: number): KeyedNoise {
  return new Stream(extendKey([0, 0], requireSeed("keyedNoise", seed)));
}

/** Plain random numbers for a seed and a path: `keyedNoise(seed).at(...path).random()`. */
export function keyedRandom(seed: number, ...path: readonly (number | string)[]): RandomNumbers {
  return keyedNoise(seed)
    .at(...path)
    .random();
}

/** A random order of 0 to n - 1 (Fisher & Yates 1938; Durstenfeld 1964). */
export function permutation(n: number, random: RandomNumbers): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

class Stream implements KeyedNoise {
  #draws = 0;

  constructor(readonly key: Key) {}

  at(...path: readonly (number | string)[]): KeyedNoise {
    return new Stream(path.reduce<Key>((key, part) => extendKey(key, part), this.key));
  }

  random(): RandomNumbers {
    const key = extendKey(this.key, "numbers");
    let count = 0;
    const uniform = () => toUniform53(threefry2x32(key, [count++, 0]));
    return {
      uniform,
      integer: (n) => {
        if (!Number.isSafeInteger(n) || n < 1)
          throw new RangeError(`integer(${n}): n must be a whole number, 1 or more.`);
        return Math.floor(uniform() * n);
      },
    };
  }

  #nextDraw(): Key {
    return extendKey(extendKey(this.key, "draw"), this.#draws++);
  }

  /** Box & Muller (1958) in float64, rounded once to float32. Both numbers of each pair are used. */
  normal(shape: number[]): tf.Tensor {
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    const key = this.#nextDraw();
    for (let i = 0; i < values.length; i += 2) {
      const [a, b] = threefry2x32(key, [i / 2, 0]);
      const radius = Math.sqrt(-2 * Math.log((a + 1) * 2 ** -32));
      const angle = 2 * Math.PI * b * 2 ** -32;
      values[i] = radius * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
    }
    return tf.tensor(values, shape, "float32");
  }

  /** Uniform in [0, 1): multiples of 2^-24, which are exact in float32. */
  uniform(shape: number[]): tf.Tensor {
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    const key = this.#nextDraw();
    for (let i = 0; i < values.length; i++) values[i] = (threefry2x32(key, [i, 1])[0] >>> 8) * 2 ** -24;
    return tf.tensor(values, shape, "float32");
  }
}

/**
 * The key of a substream. A word never gives the same key as a number, and a path never the same key as a longer one.
 */
function extendKey(key: Key, part: number | string): Key {
  if (typeof part === "number") {
    const number = requireSeed("A noise path", part);
    return threefry2x32(threefry2x32(key, [0, 0]), [number >>> 0, Math.floor(number / 2 ** 32) >>> 0]);
  }
  let state = threefry2x32(key, [1, part.length]);
  for (let i = 0; i < part.length; i++) state = threefry2x32(state, [part.charCodeAt(i), i]);
  return state;
}

function toUniform53([high, low]: Key): number {
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;
}

function requireSeed(name: string, seed: number): number {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(
      `${name}: ${seed} is not a safe integer; give a whole number from -(2^53 - 1) to 2^53 - 1, such as 0.`,
    );
  }
  return seed;
}
