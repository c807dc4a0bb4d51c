import * as tf from "@tensorflow/tfjs";
import type { KeyedNoise, Mixture, Network, TrainingLevel, TrainingRule } from "@tfjs-diffusion/schedulers";
import { ddimMove } from "./ddim-move.js";
import type { ForwardProcess } from "./denoising-loss.js";
import { perSample } from "./per-sample.js";
import { withoutGradient } from "./without-gradient.js";

/** One batch of {@link progressiveDistillationLoss}. */
export interface ProgressiveDistillationOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** The scheduler of both networks, on whole timesteps. */
  scheduler: ForwardProcess;
  /** Draws well in 2 `steps` steps of DDIM. Its parameters stay as they are. */
  teacher: Network<X>;
  /** Learns to draw the same in `steps` steps; it begins as a copy of the teacher. */
  student: Network<X>;
  /** Clean samples, [B, ...]. Borrowed. */
  x0: X;
  noise: KeyedNoise;
  /** Steps of the student; 2 `steps` must divide the number of timesteps. */
  steps: number;
}

/**
 * Progressive distillation (Salimans & Ho 2022, algorithm 2): one DDIM step of the student shall lead where two steps
 * of the teacher lead. When it does, it becomes the teacher of a student with half as many steps. The student is drawn
 * with DDIM, `timestep_spacing: "trailing"`, in exactly `steps` steps. Errors weigh as those of the scheduler's own
 * prediction: with v, as SNR + 1 on x0 (their section 4). The caller owns the result.
 *
 * @throws RangeError unless 2 `steps` divides the number of timesteps of a scheduler on whole timesteps
 */
export function progressiveDistillationLoss<X extends tf.Tensor = tf.Tensor4D>(
  options: ProgressiveDistillationOptions<X>,
): tf.Scalar {
  const { scheduler, teacher, student, x0, noise, steps } = options;
  const rule = requireTimesteps(scheduler);
  const T = scheduler.alphaBar.length;
  if (!(Number.isInteger(steps) && steps > 0 && T % (2 * steps) === 0)) {
    throw new RangeError(
      `progressiveDistillationLoss: ${steps} steps of the student, ${2 * steps} of the teacher, over ${T} timesteps; ` +
        "the teacher's steps must be whole numbers of timesteps.",
    );
  }
  const stride = T / steps;
  const random = noise.at("timesteps").random();
  const starts = Array.from({ length: x0.shape[0] }, () => (1 + random.integer(steps)) * stride - 1);
  const mixture = (t: number): Mixture => (t < 0 ? { ofX0: 1, ofNoise: 0 } : rule.at(t).input);

  return tf.tidy(() => {
    const [from, half] = [starts.map((t) => rule.at(t)), starts.map((t) => rule.at(t - stride / 2))];
    const shown = withoutGradient(() => {
      const column = (key: keyof Mixture) =>
        perSample(
          from.map(({ input }) => input[key]),
          x0.rank,
        );
      return x0.mul(column("ofX0")).add<X>(noise.at("epsilon").normal(x0.shape).mul(column("ofNoise")));
    });
    const target = withoutGradient(() => {
      const first = ddimMove(
        shown,
        teacher(
          shown,
          from.map(({ timestep }) => timestep),
        ),
        from,
        half.map(({ input }) => input),
      );
      const ends = starts.map((t) => mixture(t - stride));
      const second = ddimMove(
        first,
        teacher(
          first,
          half.map(({ timestep }) => timestep),
        ),
        half,
        ends,
      );
      return targetOf(shown, second, from, ends);
    });
    return student(
      shown,
      from.map(({ timestep }) => timestep),
    )
      .sub(target)
      .square()
      .mean<tf.Scalar>();
  });
}

/**
 * What the student is asked for: its scheduler's target, for the one x0 and noise whose mixtures are both the start and
 * the end of the teacher's two steps.
 */
function targetOf<X extends tf.Tensor>(
  start: X,
  end: X,
  from: readonly TrainingLevel[],
  to: readonly Mixture[],
): tf.Tensor {
  const weights = from.map(({ input: a, target }, i) => {
    const b = to[i]!;
    const determinant = a.ofNoise * b.ofX0 - b.ofNoise * a.ofX0;
    return {
      ofStart: (target.ofNoise * b.ofX0 - target.ofX0 * b.ofNoise) / determinant,
      ofEnd: (target.ofX0 * a.ofNoise - target.ofNoise * a.ofX0) / determinant,
    };
  });
  const column = (key: "ofStart" | "ofEnd") =>
    perSample(
      weights.map((weight) => weight[key]),
      start.rank,
    );
  return start.mul(column("ofStart")).add(end.mul(column("ofEnd")));
}

function requireTimesteps({ training, config }: ForwardProcess): TrainingRule {
  const whole = ["epsilon", "sample", "v_prediction"];
  if (training && whole.includes(training.predicts)) return training;
  throw new RangeError(
    `progressiveDistillationLoss: ${config._class_name} has no whole timesteps to halve. Use DDIMScheduler.`,
  );
}
