import * as tf from "@tensorflow/tfjs";

interface HasForward {
  forward(...args: never[]): tf.Tensor | tf.Tensor[];
}

/**
 * Keeps what layers return: replaces the `forward` of each by one that stores its result under the layer's name
 * (a list's items as `name.res0`, `name.res1`, …, and its last item under the name itself, as a PyTorch hook on a
 * down block sees it). Dispose the map's tensors.
 */
export function record(layers: Record<string, object | undefined>): Map<string, tf.Tensor> {
  const recorded = new Map<string, tf.Tensor>();
  const store = (name: string, result: tf.Tensor) => recorded.set(name, tf.keep(result.clone()));
  for (const [name, layer] of Object.entries(layers)) {
    if (!layer) continue;
    const hooked = layer as HasForward;
    const original = hooked.forward.bind(hooked);
    hooked.forward = (...args) => {
      const result = original(...args);
      const items = Array.isArray(result) ? result : [result];
      if (Array.isArray(result)) items.forEach((item, i) => store(`${name}.res${i}`, item));
      store(name, items.at(-1)!);
      return result;
    };
  }
  return recorded;
}

/** `prefix0`, `prefix1`, … for the items of a list. */
export function numbered(prefix: string, items: readonly object[]): Record<string, object> {
  return Object.fromEntries(items.map((item, i) => [`${prefix}${i}`, item]));
}
