import * as tf from "@tensorflow/tfjs";
import { impliedX0, type KeyedNoise, type Network } from "@tfjs-diffusion/schedulers";
import { type ForwardProcess, trainingOf } from "./denoising-loss.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** What {@link logLikelihood} needs. */
export interface LikelihoodOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** The scheduler that the network is for. */
  scheduler: ForwardProcess;
  /** The network; it must be differentiable with respect to its input. */
  model: Network<X>;
  /** Samples, [B, ...]. Borrowed. */
  x0: X;
  /**
   * The scheduler's own times, from the least noise to the most: `karrasSigmas(100, 80, 0.002).reverse()` for EDM,
   * every tenth timestep for DDPM.
   */
  times: readonly number[];
  /**
   * How to compute the trace of the denoiser's derivative. "exact" calls the denoiser once for each number of a sample.
   * Random `directions`, the same at all times, give an unbiased estimate (Hutchinson 1990).
   */
  trace: "exact" | { directions: number; noise: KeyedNoise };
  /** Standard deviation of the data. The distribution at the last noise level still depends on it. Default 0.5. */
  sigmaData?: number;
}

/**
 * ln p(x0) in nats of each sample, [B] numbers: from the density at the end of the probability flow, and the change of
 * volume along the flow (Song et al. 2021b, eq. 39; Chen et al. 2018, theorem 1). In y = x / alpha and l = ln(sigma /
 * alpha):
 *
 *   dy / dl = y - D(y),   d ln p / dl = -(d - trace of dD / dy),   by Heun's method over the times.
 *
 * The density is that of x0 with noise of the first time's level.
 *
 * @throws RangeError unless noise levels rise over the times; SchedulerConfigError as denoisingLoss does
 */
export function logLikelihood<X extends tf.Tensor = tf.Tensor4D>(options: LikelihoodOptions<X>): number[] {
  const { scheduler, model, x0, times, trace, sigmaData = 0.5 } = options;
  const rule = trainingOf(scheduler);
  const levels = times.map((time) => rule.at(time));
  const sigmas = levels.map(({ input }) => input.ofNoise / input.ofX0);
  if (times.length < 2 || sigmas.some((sigma, i) => !(sigma > (sigmas[i - 1] ?? 0) && sigma < Infinity))) {
    throw new RangeError(
      `logLikelihood: times ${times.slice(0, 3).join(", ")}… have the noise levels ${sigmas.slice(0, 3).join(", ")}…; give at least two whose levels rise from above 0.`,
    );
  }
  const batch = x0.shape[0];
  const dimensions = x0.size / batch;

  /** D(y) at time k, and the trace of its derivative, [B]. */
  const denoised = (y: X, k: number): { slope: X; growth: tf.Tensor1D } => {
    const level = levels[k]!;
    const all = Array<typeof level>(batch).fill(level);
    const D = (at: tf.Tensor) => {
      const shown = at.mul<X>(level.input.ofX0);
      return impliedX0(
        all,
        shown,
        model(
          shown,
          all.map(({ timestep }) => timestep),
        ),
      );
    };
    const along = (direction: tf.Tensor) => {
      const derivative = tf.grad((at: tf.Tensor) => D(at).mul(direction).sum());
      return derivative(y).mul(direction).reshape([batch, -1]).sum<tf.Tensor1D>(1);
    };
    const traces = directions.map(along);
    const factor = trace === "exact" ? 1 : 1 / directions.length;
    return { slope: y.sub<X>(D(y)), growth: tf.addN(traces).mul<tf.Tensor1D>(factor).sub(dimensions) };
  };
  const directions = tf.tidy(() => directionsOf(x0, trace));
  let state = tf.tidy(() => ({ y: x0.clone(), change: tf.zeros<tf.Rank.R1>([batch]) }));
  try {
    for (let k = 0; k + 1 < times.length; k++) {
      const next = tf.tidy(() => {
        const h = Math.log(sigmas[k + 1]! / sigmas[k]!);
        const first = denoised(state.y, k);
        const second = denoised(state.y.add<X>(first.slope.mul(h)), k + 1);
        return {
          y: state.y.add<X>(first.slope.add(second.slope).mul(h / 2)),
          change: state.change.add<tf.Tensor1D>(first.growth.add(second.growth).mul(h / 2)),
        };
      });
      tf.dispose(state);
      state = next;
    }
    return tf.tidy(() => {
      const variance = sigmas.at(-1)! ** 2 + sigmaData ** 2;
      const squares = state.y.square().reshape([batch, -1]).sum(1);
      const last = squares.div(-2 * variance).sub((dimensions / 2) * Math.log(2 * Math.PI * variance));
      // Towards more noise, ln p falls by `change`. So ln p at the start is ln p at the end plus this loss.
      return [...valuesAtOnce("logLikelihood", last.sub(state.change))];
    });
  } finally {
    tf.dispose([state, directions]);
  }
}

/** The directions along which the derivative of D is taken, each [B, ...]: the axes, or random signs. */
function directionsOf(x0: tf.Tensor, trace: LikelihoodOptions["trace"]): tf.Tensor[] {
  const [batch, ...rest] = x0.shape as [number, ...number[]];
  if (trace === "exact") {
    const axes = tf.unstack(tf.eye(tf.util.sizeFromShape(rest)));
    return axes.map((axis) => axis.reshape([1, ...rest]).tile([batch, ...rest.map(() => 1)]));
  }
  const { directions, noise } = trace;
  if (!(Number.isInteger(directions) && directions > 0)) {
    throw new RangeError(`logLikelihood: ${directions} directions; give a whole number, 1 or more.`);
  }
  return Array.from({ length: directions }, (_, i) => noise.at(i).uniform(x0.shape).less(0.5).toFloat().mul(2).sub(1));
}
