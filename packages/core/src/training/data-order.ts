import { keyedRandom, permutation } from "@tfjs-diffusion/schedulers";

/**
 * Returns the index of the i-th sample (from 0) when a data set of `size` samples is visited epoch after epoch, each in
 * its own random order. Depends only on `seed`, `size` and i, so a resumed run needs no state.
 */
export function dataOrder(seed: number, size: number): (i: number) => number {
  if (!Number.isInteger(size) || size < 1)
    throw new RangeError(`dataOrder: ${size} samples; give a whole number, 1 or more.`);
  let shuffled: { epoch: number; order: Uint32Array } = { epoch: -1, order: new Uint32Array() };
  return (i) => {
    if (!Number.isSafeInteger(i) || i < 0)
      throw new RangeError(`dataOrder: there is no sample number ${i}; count from 0.`);
    const epoch = Math.floor(i / size);
    if (epoch !== shuffled.epoch) shuffled = { epoch, order: permutation(size, keyedRandom(seed, "epoch", epoch)) };
    return shuffled.order[i % size]!;
  };
}
