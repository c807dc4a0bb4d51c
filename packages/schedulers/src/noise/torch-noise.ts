import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";

/**
 * PyTorch's CPU generator: `torch.manual_seed(seed)`, then `torch.randn(shape)` and `torch.rand(shape)` in float32,
 * identical up to the last digit of the logarithm and cosine. PyTorch's pictures are [B, C, H, W]: pipelines draw them
 * in that shape and swap the axes, as {@link channelsLast} does for other loops.
 *
 * @throws RangeError unless the seed is a whole number from 0 to 2^53 - 1; as in PyTorch, only its lowest 32 bits are
 *   used
 */
export function torchNoise(seed: number): NoiseSource {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`torchNoise: ${seed} is not a seed; give a whole number from 0 to 2^53 - 1.`);
  }
  const generator = new MersenneTwister(seed % 2 ** 32);
  let cached: number | undefined;
  /** Box-Muller in float64, one number at a time; the second of each pair is kept for the next call. */
  const normalInFloat64 = (): number => {
    if (cached !== undefined) {
      const value = cached;
      cached = undefined;
      return value;
    }
    const u1 = generator.uniform53();
    const u2 = generator.uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-u2));
    cached = radius * Math.sin(2 * Math.PI * u1);
    return radius * Math.cos(2 * Math.PI * u1);
  };
  return {
    layout: "channels-first",
    uniform: (shape) =>
      tf.tensor(
        drawn(shape, () => generator.uniform24()),
        shape,
        "float32",
      ),
    normal: (shape) => {
      const size = tf.util.sizeFromShape(shape);
      const values = size < BLOCK ? drawn(shape, normalInFloat64) : normalBlocks(size, () => generator.uniform24());
      return tf.tensor(values, shape, "float32");
    },
  };
}

const BLOCK = 16;
const f32 = Math.fround;

function drawn(shape: number[], draw: () => number): Float32Array {
  return Float32Array.from({ length: tf.util.sizeFromShape(shape) }, draw);
}

/**
 * All uniforms first, then Box-Muller in blocks of 16; an incomplete last block is replaced by drawing the last 16
 * places again.
 */
function normalBlocks(size: number, uniform: () => number): Float32Array {
  const values = Float32Array.from({ length: size }, uniform);
  const transform = (start: number) => {
    for (let j = start; j < start + BLOCK / 2; j++) {
      const radius = f32(Math.sqrt(f32(-2 * f32(Math.log(f32(1 - values[j]!))))));
      const angle = f32(f32(2 * Math.PI) * values[j + BLOCK / 2]!);
      values[j] = f32(radius * f32(Math.cos(angle)));
      values[j + BLOCK / 2] = f32(radius * f32(Math.sin(angle)));
    }
  };
  for (let start = 0; start + BLOCK <= size; start += BLOCK) transform(start);
  if (size % BLOCK !== 0) {
    for (let i = size - BLOCK; i < size; i++) values[i] = uniform();
    transform(size - BLOCK);
  }
  return values;
}

/** MT19937 (Matsumoto & Nishimura 1998). */
class MersenneTwister {
  readonly #state = new Uint32Array(624);
  #next = 624;

  constructor(seed: number) {
    this.#state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = this.#state[i - 1]!;
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /** [0, 1), a multiple of 2^-24. */
  uniform24(): number {
    return (this.#word() & 0xffffff) * 2 ** -24;
  }

  /** [0, 1), a multiple of 2^-53. */
  uniform53(): number {
    const high = this.#word();
    const low = this.#word();
    return ((high % 2 ** 21) * 2 ** 32 + low) * 2 ** -53;
  }

  #word(): number {
    if (this.#next === 624) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const s = this.#state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i]! & 0x80000000) | (s[(i + 1) % 624]! & 0x7fffffff);
      s[i] = s[(i + 397) % 624]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}
