import * as tf from "@tensorflow/tfjs";
import {
  type KeyedNoise,
  type Scheduler,
  type TimeDistribution,
  trainingExample,
  type TrainingLevel,
  type TrainingRule,
  variancePreserving,
} from "@tfjs-diffusion/schedulers";
import { warnOfFlaws } from "./training-flaws.js";

/** The targets that {@link minSnrWeights} has weights for: the noise, the clean picture, or the velocity. */
export type TrainingTarget = "epsilon" | "sample" | "v_prediction";

/** The part of a scheduler that training needs. */
export type ForwardProcess = Pick<Scheduler, "config" | "alphaBar" | "addNoise" | "velocity" | "training">;

/** One batch of {@link denoisingLoss}. */
export interface DenoisingLossOptions<Image extends tf.Tensor = tf.Tensor4D> {
  /** The scheduler of the sampler. It defines the network's input, time input and target. */
  scheduler: ForwardProcess;
  /**
   * The network: scaled noisy pictures [B, ...] and one timestep for each picture -> a prediction of the same shape.
   */
  model(noisy: Image, timesteps: number[]): tf.Tensor;
  /** Clean pictures [B, ...], in [-1, 1]. Borrowed. */
  x0: Image;
  /** Where the times and the noise are drawn from. */
  noise: KeyedNoise;
  /**
   * The noise of each picture, [B, ...], for pictures that belong to a noise, such as the pairs of reflow (Liu et al.
   * 2023, algorithm 1). Borrowed. Default: fresh noise.
   */
  pairedNoise?: Image;
  /**
   * The distribution of times, such as `logitNormalTimes()` for flow matching. Default: that of the scheduler's paper;
   * see `scheduler.training`.
   */
  times?: TimeDistribution;
  /** Weights noise levels as in Hang et al. 2023, who use 5. Default: the scheduler's own weights. */
  minSnrGamma?: number;
}

/**
 * Mean squared error of the network's prediction at random times, one for each picture (Ho et al. 2020, algorithm 1 and
 * eq. 14). The network's input and target are those of the scheduler's sampling. The caller owns the result. Warns once
 * for each scheduler of settings with which even a well-trained network samples badly: see {@link trainingFlaws}.
 *
 * @throws SchedulerConfigError for a scheduler whose networks are not trained by regression; RangeError for a
 *   prediction of another shape, and for minSnrGamma with another prediction type than {@link TrainingTarget}
 */
export function denoisingLoss<Image extends tf.Tensor = tf.Tensor4D>(options: DenoisingLossOptions<Image>): tf.Scalar {
  const { scheduler, model, x0, noise, pairedNoise, minSnrGamma } = options;
  const rule = trainingOf(scheduler);
  const snrTarget = minSnrGamma === undefined ? undefined : requireSnrTarget(rule);
  warnOfFlaws(scheduler, x0);
  const random = noise.at("timesteps").random();
  const times = Array.from({ length: x0.shape[0] }, () => (options.times ?? rule.drawTime)(random));

  return tf.tidy(() => {
    const epsilon = pairedNoise ?? noise.at("epsilon").normal(x0.shape);
    const { input, timesteps, target, weights: own } = trainingExample(rule, x0, epsilon, times);
    const prediction = model(input as Image, timesteps);
    tf.util.assertShapesMatch(
      prediction.shape,
      x0.shape,
      "denoisingLoss: the network's prediction against the pictures: ",
    );
    const squares = prediction.sub(target).square();
    const weights = snrTarget
      ? minSnrWeights(
          times.map((time) => alphaBarOf(rule.at(time))),
          snrTarget,
          minSnrGamma,
        )
      : own;
    if (!snrTarget && weights.every((weight) => weight === 1)) return squares.mean<tf.Scalar>();
    const perPicture = squares.mean(squares.shape.slice(1).map((_, axis) => axis + 1));
    return perPicture.mul(tf.tensor1d(weights)).mean<tf.Scalar>();
  });
}

/** The training rule of the scheduler; variance-preserving if it has none. */
export function trainingOf({ training, config, alphaBar }: ForwardProcess): TrainingRule {
  return training ?? variancePreserving(requireTarget(config.prediction_type), alphaBar);
}

/** alphaBar of the network's input, for any scale. */
function alphaBarOf({ input: { ofX0, ofNoise } }: TrainingLevel): number {
  return ofX0 ** 2 / (ofX0 ** 2 + ofNoise ** 2);
}

function requireTarget(type: unknown = "epsilon"): TrainingTarget {
  if (isTarget(type)) return type;
  throw new RangeError(
    `denoisingLoss: prediction_type ${JSON.stringify(type)} is unknown; expected "epsilon", "sample" or "v_prediction".`,
  );
}

const isTarget = (type: unknown): type is TrainingTarget =>
  type === "epsilon" || type === "sample" || type === "v_prediction";

function requireSnrTarget({ predicts }: TrainingRule): TrainingTarget {
  if (isTarget(predicts)) return predicts;
  throw new RangeError(
    `denoisingLoss: minSnrGamma has weights for epsilon, sample and v_prediction; this scheduler's networks predict ` +
      `${predicts}. Leave it out.`,
  );
}

/**
 * Weight of the squared error at each noise level, by signal-to-noise ratio `snr = alphaBar / (1 - alphaBar)`
 * (Hang et al. 2023, section 3.4): min(snr, gamma) on the error of x0, which is min(snr, gamma) / snr
 * on that of epsilon and min(snr, gamma) / (snr + 1) on that of v.
 */
export function minSnrWeights(alphaBar: ArrayLike<number>, predictionType: TrainingTarget, gamma = 5): number[] {
  if (!(gamma > 0)) throw new RangeError(`minSnrWeights: gamma is ${gamma}; it must be positive, such as 5.`);
  const perTarget = {
    epsilon: (snr: number) => (snr > gamma ? gamma / snr : 1),
    sample: (snr: number) => Math.min(snr, gamma),
    v_prediction: (snr: number) => (snr === Infinity ? 0 : Math.min(snr, gamma) / (snr + 1)),
  };
  return Array.from(alphaBar, (a) => perTarget[predictionType](a / (1 - a)));
}
