import * as tf from "@tensorflow/tfjs";
import { guide } from "@tfjs-diffusion/core/pipelines";
import {
  ddimTrajectory,
  latentConsistencyLoss,
  type Trajectory,
  type TrainingStep,
  withoutGradient,
} from "@tfjs-diffusion/core/training";
import { DDIMScheduler, type KeyedNoise, keyedNoise, LCMScheduler, type Network } from "@tfjs-diffusion/schedulers";
import { SCHEDULER_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** Every linear layer of the attention blocks, their feed-forward layers included, and of the time embedding. */
const TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2", "proj_in", "proj_out", "time_emb_proj"];

/** Trajectories, and the captions of their pictures. */
interface Walked extends Trajectory {
  captions: string[];
}

/**
 * A LoRA learns to jump to the end of the trajectories that the model draws with guidance, as LCM-LoRA does (Luo et al.
 * 2023b). With it LCMScheduler draws in 1 to 4 steps and without guidance, because the LoRA has learned the guided
 * result. The two alternate: the model follows some trajectories to their ends, then the LoRA learns to jump to those
 * ends from any point.
 */
export async function* trainFewSteps(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model } = options;
  const { rank, jumps, stepsPerWalk, batchSize } = settings.fewSteps;
  // Captions are never dropped, because the teacher uses guidance, for which it draws without a caption itself.
  const tuning = await Tuning.open(model, { ...settings, captionDropout: 0 }, settings.fewSteps);
  const { unet, vae } = tuning.networks;
  const walker = new Walker(tuning, TrainingLatents.encode(vae, tuning.pictures));
  let turn = -1;
  let walked: Walked[] = [];
  try {
    yield* tuning.trainLora(options, { label: "few steps", rank, targets: TARGETS }, (lora) => ({ step, noise }) => {
      const now = Math.floor((step - 1) / stepsPerWalk);
      if (now !== turn) {
        // Depends only on the turn, so that a resumed run uses the same trajectories.
        walked = walker.walkAll(now, jumps);
        turn = now;
      }
      const { x, timesteps, ends, captions } = draw(walked, batchSize, walker.shape, noise.at("places"));
      const guided = velocity(unet, tuning.conditioning(captions));
      const student: Network<tf.Tensor4D> = (x, timesteps) => lora.within(() => guided(x, timesteps));
      return latentConsistencyLoss({ scheduler: walker.scheduler, student, x, timesteps, ends });
    });
  } finally {
    tuning.dispose();
  }
}

/** Follows the trajectories of training pictures with guidance. */
class Walker {
  readonly scheduler = new DDIMScheduler(SCHEDULER_CONFIG);

  constructor(
    private readonly tuning: Tuning,
    private readonly latents: TrainingLatents,
  ) {}

  get shape(): [number, number, number] {
    return this.latents.shape;
  }

  /** Trajectories from each noise level at which LCMScheduler jumps when it takes `jumps` steps. */
  walkAll(turn: number, jumps: number): Walked[] {
    const { originalSteps, trajectories } = this.tuning.settings.fewSteps;
    const { timesteps } = new LCMScheduler({ ...SCHEDULER_CONFIG, original_inference_steps: originalSteps }).plan(
      jumps,
    );
    const noise = keyedNoise(this.tuning.settings.seed).at("walk").at(turn);
    return timesteps.map((from, i) =>
      this.#walkFrom(from, (turn * jumps + i) * trajectories, trajectories, noise.at(i)),
    );
  }

  #walkFrom(from: number, firstSample: number, size: number, noise: KeyedNoise): Walked {
    const { tuning, latents, scheduler } = this;
    const { guidance, originalSteps, skip } = tuning.settings.fewSteps;
    const { indices, captions } = tuning.batch(firstSample, size);
    let found: Trajectory;
    withoutGradient(() => {
      const [guided, plain] = [captions, captions.map(() => "")].map((captions) =>
        velocity(tuning.networks.unet, tuning.conditioning(captions)),
      );
      const teacher: Network<tf.Tensor4D> = (x, timesteps) =>
        guide(plain!(x, timesteps), guided!(x, timesteps), guidance);
      const x0 = latents.batch(indices, noise.at("latents"));
      const x = scheduler.addNoise(
        x0,
        noise.at("epsilon").normal(x0.shape),
        indices.map(() => from),
      ) as tf.Tensor4D;
      found = ddimTrajectory(scheduler, teacher, x, from, skip * Math.floor(scheduler.alphaBar.length / originalSteps));
      return tf.scalar(0);
    });
    return { ...found!, captions };
  }
}

/** Half the points are the starts of trajectories, from which LCMScheduler jumps; the others are anywhere on them. */
function draw(walked: readonly Walked[], batchSize: number, shape: [number, number, number], noise: KeyedNoise) {
  const random = noise.random();
  const length = tf.util.sizeFromShape(shape);
  const drawn = Array.from({ length: batchSize }, (_, i) => {
    const { points, end, captions } = walked[random.integer(walked.length)]!;
    const which = random.integer(captions.length);
    const { timestep, x } = points[2 * i < batchSize ? 0 : random.integer(points.length)]!;
    const own = (all: Float32Array) => all.subarray(which * length, (which + 1) * length);
    return { timestep, x: own(x), end: own(end), caption: captions[which]! };
  });
  const together = (of: (one: (typeof drawn)[number]) => Float32Array) =>
    tf.tensor4d(Float32Array.from(drawn.flatMap((one) => [...of(one)])), [batchSize, ...shape]);
  return {
    x: together(({ x }) => x),
    ends: together(({ end }) => end),
    timesteps: drawn.map(({ timestep }) => timestep),
    captions: drawn.map(({ caption }) => caption),
  };
}
