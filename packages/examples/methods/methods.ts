import type * as tf from "@tensorflow/tfjs";
import {
  consistencyFunction,
  consistencyLoss,
  denoisingLoss,
  edmLoss,
  preconditioned,
  progressiveDistillationLoss,
  straightness,
} from "@tfjs-diffusion/core/training";
import {
  CMStochasticIterativeScheduler,
  DDIMScheduler,
  edmHeun,
  FlowMatchEulerDiscreteScheduler,
  karrasSigmas,
  type KeyedNoise,
  keyedNoise,
  logitNormalTimes,
  type Network,
  runPlan,
  type Scheduler,
  type TimeDistribution,
} from "@tfjs-diffusion/schedulers";
import { learn, type StudyRun } from "./learn.js";
import type { StudyNetwork } from "./subject.js";

/** A trained way to draw samples. */
export interface Drawer<T extends tf.Tensor> {
  readonly name: string;
  /** From standard normal noise, borrowed, to samples; undefined if it cannot take so many calls of the network. */
  draw(start: T, calls: number, noise: KeyedNoise): T | undefined;
  /** Steps of training, in those of the run, including its teachers'. */
  readonly cost: number;
  /** How far its paths are from straight lines, where that is defined. */
  readonly straightness?: number;
}

/** Paths that straightness is measured on. */
const STRAIGHTNESS_PATHS = 1000;
/** Numbers of steps that progressive distillation teaches, each half of the last. */
const HALVINGS = [16, 8, 4, 2, 1];
/** Data beyond [-1, 1] are rare here, and clipping would hide what a sampler does. */
const DDIM = {
  num_train_timesteps: 1024,
  timestep_spacing: "trailing",
  beta_schedule: "squaredcos_cap_v2",
  clip_sample: false,
} as const;
const EDM = { timeScale: 1 };
/** The lowest noise level of EDM. */
const SIGMA_MIN = 0.002;

const as =
  <T extends tf.Tensor>(network: StudyNetwork<T>): Network<T> =>
  (x, told) =>
    network.forward(x, told);
const withPlan =
  <T extends tf.Tensor>(scheduler: Scheduler, network: StudyNetwork<T>): Drawer<T>["draw"] =>
  (start, steps, noise) =>
    runPlan(scheduler.plan(steps), as(network), start, noise);

/** Trains every method on a subject, one after the other. The networks are freed at the end. */
export async function* allMethods<T extends tf.Tensor>(run: StudyRun<T>): AsyncGenerator<Drawer<T>, void> {
  const networks: StudyNetwork<T>[] = [];
  const kept = (network: StudyNetwork<T>) => (networks.push(network), network);
  try {
    yield* diffusion(run, kept);
    yield* flow(run, kept);
    yield* edm(run, kept);
  } finally {
    for (const network of networks) network.dispose();
  }
}

type Keep<T extends tf.Tensor> = (network: StudyNetwork<T>) => StudyNetwork<T>;

/** Ho et al. 2020 with epsilon; Salimans & Ho 2022 with v, and the students that halve its steps. */
async function* diffusion<T extends tf.Tensor>(run: StudyRun<T>, kept: Keep<T>): AsyncGenerator<Drawer<T>, void> {
  const epsilon = new DDIMScheduler({ ...DDIM, timestep_spacing: "leading", prediction_type: "epsilon" });
  const noise = kept(
    await learn(run, {
      name: "epsilon",
      loss: (n, batch) => denoisingLoss({ scheduler: epsilon, model: as(n), ...batch }),
    }),
  );
  yield { name: "noise (epsilon), DDIM", cost: 1, draw: withPlan(epsilon, noise) };

  const scheduler = new DDIMScheduler({ ...DDIM, prediction_type: "v_prediction" });
  let teacher = kept(
    await learn(run, { name: "v", loss: (n, batch) => denoisingLoss({ scheduler, model: as(n), ...batch }) }),
  );
  yield { name: "v, DDIM", cost: 1, draw: withPlan(scheduler, teacher) };

  const students = new Map<number, StudyNetwork<T>>();
  for (const steps of HALVINGS) {
    const from = teacher;
    teacher = kept(
      await learn(run, {
        name: `v-${steps}-steps`,
        from,
        share: 0.25,
        learningRate: 5e-4,
        loss: (n, batch) =>
          progressiveDistillationLoss({ scheduler, teacher: as(from), student: as(n), steps, ...batch }),
      }),
    );
    students.set(steps, teacher);
  }
  yield {
    name: "progressive distillation of v",
    cost: 1 + 0.25 * HALVINGS.length,
    draw: (start, steps, noise) => {
      const student = students.get(steps);
      return student && withPlan(scheduler, student)(start, steps, noise);
    },
  };
}

/** Lipman et al. 2023, the times of Esser et al. 2024, and the second flow of Liu et al. 2023. */
async function* flow<T extends tf.Tensor>(run: StudyRun<T>, kept: Keep<T>): AsyncGenerator<Drawer<T>, void> {
  const scheduler = new FlowMatchEulerDiscreteScheduler();
  const start = keyedNoise(run.seed)
    .at("straightness")
    .normal([STRAIGHTNESS_PATHS, ...run.subject.shape]) as T;
  const drawer = (name: string, cost: number, network: StudyNetwork<T>): Drawer<T> => ({
    name,
    cost,
    draw: withPlan(scheduler, network),
    straightness: straightness({ scheduler, model: as(network), start }),
  });
  try {
    const lesson = (name: string, times?: TimeDistribution) =>
      learn(run, { name, loss: (n, batch) => denoisingLoss({ scheduler, model: as(n), times, ...batch }) });
    const first = kept(await lesson("flow"));
    yield drawer("flow matching, Euler", 1, first);
    yield drawer("the same, logit-normal times", 1, kept(await lesson("flow-logit-normal", logitNormalTimes())));

    const second = await learn(run, {
      name: "reflow",
      from: first,
      share: 0.5,
      learningRate: 1e-3,
      loss: (n, { x0: data, noise }) => {
        const pairedNoise = noise.at("start").normal(data.shape) as T;
        const x0 = runPlan(scheduler.plan(20), as(first), pairedNoise, noise);
        return denoisingLoss({ scheduler, model: as(n), x0, pairedNoise, noise });
      },
    });
    yield drawer("reflow of flow matching", 1.5, kept(second));
  } finally {
    start.dispose();
  }
}

/** Karras et al. 2022, and the consistency functions of Song et al. 2023. */
async function* edm<T extends tf.Tensor>(run: StudyRun<T>, kept: Keep<T>): AsyncGenerator<Drawer<T>, void> {
  const { sigmaData, sigmaMax } = run.subject;
  const denoiser = (network: StudyNetwork<T>) => preconditioned(as(network), sigmaData);
  const teacher = kept(
    await learn(run, { name: "edm", ...EDM, loss: (n, batch) => edmLoss({ denoise: denoiser(n), ...batch }) }),
  );
  yield {
    name: "EDM, Heun",
    cost: 1,
    // Heun calls the network twice a step, and once in the last: 2 n - 1 calls.
    draw: (start, calls) => {
      const steps = Math.floor((calls + 1) / 2);
      return edmHeun(denoiser(teacher), start, [...karrasSigmas(steps, sigmaMax, SIGMA_MIN), 0]);
    },
  };

  const settings = { sigma_min: SIGMA_MIN, sigma_max: sigmaMax, sigma_data: sigmaData, clip_denoised: false };
  const scheduler = new CMStochasticIterativeScheduler({ ...settings, num_train_timesteps: 40 });
  const sigmas = karrasSigmas(18, sigmaMax, SIGMA_MIN).reverse();
  for (const teaching of [true, false]) {
    const student = kept(
      await learn(run, {
        name: teaching ? "consistency-distillation" : "consistency-training",
        // It is told 250 ln sigma, a thousand times what EDM's network is told.
        timeScale: 1e-3,
        from: teaching ? teacher : undefined,
        learningRate: 1e-3,
        loss: (n, batch) =>
          consistencyLoss({
            student: consistencyFunction(as(n), { sigmaMin: SIGMA_MIN, sigmaData: sigmaData }),
            teacher: teaching ? denoiser(teacher) : undefined,
            sigmas,
            ...batch,
          }),
      }),
    );
    yield {
      name: teaching ? "consistency distillation of EDM" : "consistency training",
      cost: teaching ? 2 : 1,
      draw: (start, steps, noise) => (steps <= 8 ? withPlan(scheduler, student)(start, steps, noise) : undefined),
    };
  }
}
