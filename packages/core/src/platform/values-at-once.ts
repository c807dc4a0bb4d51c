import type * as tf from "@tensorflow/tfjs";
import { PlatformError } from "./platform-error.js";

/** A tensor's values, or undefined on a graphics card that can only be read asynchronously: WebGPU in Node. */
export function valuesAtHand(tensor: tf.Tensor): Float32Array | Int32Array | Uint8Array | undefined {
  try {
    return tensor.dataSync();
  } catch {
    return undefined;
  }
}

/**
 * A tensor's values, for a function that returns numbers and not a promise.
 *
 * @param name of the function
 * @throws PlatformError on WebGPU in Node, where nothing can be read at once
 */
export function valuesAtOnce(name: string, tensor: tf.Tensor): Float32Array | Int32Array | Uint8Array {
  const values = valuesAtHand(tensor);
  if (values) return values;
  throw new PlatformError(
    `${name} returns numbers at once, which WebGPU in Node cannot read. Run it on another backend: await useBackend("wasm").`,
  );
}
