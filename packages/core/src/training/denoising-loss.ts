import * as tf from "@tensorflow/tfjs";
import type { KeyedNoise, Scheduler } from "@tfjs-diffusion/schedulers";

/** What the network is asked for: the noise, the clean picture, or the velocity between them. */
export type TrainingTarget = "epsilon" | "sample" | "v_prediction";

/** The part of a scheduler that training needs. */
export type ForwardProcess = Pick<Scheduler, "config" | "alphaBar" | "addNoise" | "velocity">;

/** One batch of {@link denoisingLoss}. */
export interface DenoisingLossOptions<Image extends tf.Tensor = tf.Tensor4D> {
  scheduler: ForwardProcess;
  /** The network: noisy pictures [B, ...] and one timestep a picture to a prediction of the same shape. */
  model(noisy: Image, timesteps: number[]): tf.Tensor;
  /** Clean pictures [B, ...], in [-1, 1]. Borrowed. */
  x0: Image;
  /** Where the timesteps and the noise are drawn from. */
  noise: KeyedNoise;
  /** Gives each timestep the weight of Hang et al. 2023; 5 is theirs. Default: all weigh the same. */
  minSnrGamma?: number;
}

/**
 * Mean squared error of the network's prediction at timesteps drawn uniformly, one a picture
 * (Ho et al. 2020, algorithm 1 and eq. 14). The caller owns the result.
 */
export function denoisingLoss<Image extends tf.Tensor = tf.Tensor4D>(options: DenoisingLossOptions<Image>): tf.Scalar {
  const { scheduler, model, x0, noise, minSnrGamma } = options;
  const predictionType = checkedPredictionType(scheduler.config.prediction_type);
  const T = scheduler.alphaBar.length;
  const random = noise.at("timesteps").random();
  const timesteps = Array.from({ length: x0.shape[0] }, () => random.integer(T));

  return tf.tidy(() => {
    const epsilon = noise.at("epsilon").normal(x0.shape);
    const target =
      predictionType === "epsilon"
        ? epsilon
        : predictionType === "sample"
          ? x0
          : scheduler.velocity(x0, epsilon, timesteps);
    const prediction = model(scheduler.addNoise(x0, epsilon, timesteps) as Image, timesteps);
    tf.util.assertShapesMatch(
      prediction.shape,
      x0.shape,
      "denoisingLoss: the network's prediction against the pictures: ",
    );
    const squares = prediction.sub(target).square();
    if (minSnrGamma === undefined) return squares.mean<tf.Scalar>();

    const weights = minSnrWeights(
      timesteps.map((t) => scheduler.alphaBar[t]!),
      predictionType,
      minSnrGamma,
    );
    const perPicture = squares.mean(squares.shape.slice(1).map((_, axis) => axis + 1));
    return perPicture.mul(tf.tensor1d(weights)).mean<tf.Scalar>();
  });
}

/**
 * Weight of the squared error at each noise level, by signal-to-noise ratio `snr = alphaBar / (1 - alphaBar)`
 * (Hang et al. 2023, section 3.4): min(snr, gamma) on the error of x0, which is min(snr, gamma) / snr
 * on that of epsilon and min(snr, gamma) / (snr + 1) on that of v.
 */
export function minSnrWeights(alphaBar: readonly number[], predictionType: TrainingTarget, gamma = 5): number[] {
  if (!(gamma > 0)) throw new RangeError(`minSnrWeights: gamma is ${gamma}; it must be positive, such as 5.`);
  const perTarget = {
    epsilon: (snr: number) => (snr > gamma ? gamma / snr : 1),
    sample: (snr: number) => Math.min(snr, gamma),
    v_prediction: (snr: number) => (snr === Infinity ? 0 : Math.min(snr, gamma) / (snr + 1)),
  };
  return alphaBar.map((a) => perTarget[predictionType](a / (1 - a)));
}

function checkedPredictionType(type: unknown = "epsilon"): TrainingTarget {
  if (type === "epsilon" || type === "sample" || type === "v_prediction") return type;
  throw new RangeError(
    `denoisingLoss: prediction_type ${JSON.stringify(type)} is not known; it can be "epsilon", "sample" or "v_prediction".`,
  );
}
