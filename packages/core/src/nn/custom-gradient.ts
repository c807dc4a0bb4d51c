import * as tf from "@tensorflow/tfjs";

/**
 * A function with a gradient that is written out: fewer operations than the automatic one. First derivatives only.
 * `forward` returns its value and what `backward` needs of it; `backward` returns one gradient for each input.
 */
export function customGradient<Inputs extends (tf.Tensor | undefined)[], Saved extends tf.Tensor[]>(
  inputs: [...Inputs],
  forward: (...inputs: Inputs) => { value: tf.Tensor; saved: [...Saved] },
  backward: (dy: tf.Tensor, saved: Saved) => tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...inputsAndSave) => {
    const save = inputsAndSave.pop() as unknown as (tensors: tf.Tensor[]) => void;
    const { value, saved } = forward(...(inputsAndSave as unknown as Inputs));
    save(saved);
    return { value, gradFunc: (dy, saved) => backward(dy, saved as Saved) };
  })(...(inputs as tf.Tensor[]));
}
