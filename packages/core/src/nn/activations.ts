import * as tf from "@tensorflow/tfjs";
import { customGradient } from "./custom-gradient.js";
import { fusedOp } from "./fused-op.js";

/** An elementwise non-linearity: any shape -> the same shape. */
export type Activation = <T extends tf.Tensor>(x: T) => T;

/** SiLU or swish: x sigmoid(x). */
export const silu: Activation = <T extends tf.Tensor>(x: T): T => fusedOp("Silu", { x }, {}, () => plainSilu(x)) as T;

/** The reference of the fused kernel. */
const plainSilu: Activation = (x) => sigmoidGated(x, 1);

/** CLIP's quick GELU: x sigmoid(1.702 x). */
export const quickGelu: Activation = (x) => sigmoidGated(x, 1.702);

/** y = x s with s = sigmoid(a x), so dy/dx = s + a y (1 - s). */
function sigmoidGated<T extends tf.Tensor>(x: T, a: number): T {
  const times = (x: tf.Tensor) => (a === 1 ? x : x.mul(a));
  return customGradient(
    [x],
    () => {
      const s = times(x).sigmoid();
      const value = x.mul(s);
      return { value, saved: [s, value] };
    },
    (dy, [s, y]) => [dy.mul(s.add(times(y.sub(y.mul(s)))))],
  ) as T;
}

/** Exact GELU: x Phi(x), with Phi the standard normal distribution function (not the tanh approximation). */
export const gelu: Activation = <T extends tf.Tensor>(x: T): T => fusedOp("Gelu", { x }, {}, () => plainGelu(x)) as T;

/** The reference of the fused kernel. */
const plainGelu: Activation = <T extends tf.Tensor>(x: T): T =>
  customGradient(
    [x],
    () => {
      const phi = x.mul(Math.SQRT1_2).erf().mul(0.5).add(0.5);
      return { value: x.mul(phi), saved: [x, phi] };
    },
    (dy, [x, phi]) => {
      const density = x
        .square()
        .mul(-0.5)
        .exp()
        .mul(1 / Math.sqrt(2 * Math.PI));
      return [dy.mul(x.mul(density).add(phi))];
    },
  ) as T;

const ACTIVATIONS = {
  silu,
  swish: silu,
  quick_gelu: quickGelu,
  gelu,
  relu: ((x) => tf.relu(x)) as Activation,
  mish: ((x) => x.mul(x.softplus().tanh())) as Activation,
};

/** The names of activations in public configs. */
export type ActivationName = keyof typeof ACTIVATIONS;

export const activationNames = Object.keys(ACTIVATIONS) as ActivationName[];

export function activation(name: ActivationName): Activation {
  return ACTIVATIONS[name];
}
