import type * as tf from "@tensorflow/tfjs";
import { dropConditions, denoisingLoss } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, guidedNetwork, keyedNoise, type Network, runPlan } from "@tfjs-diffusion/schedulers";
import { learn, type StudyRun } from "./learn.js";
import type { StudyNetwork } from "./subject.js";

/** A way to draw samples of given classes. */
export interface ConditionalDrawer<T extends tf.Tensor> {
  readonly name: string;
  /** The network that is told classes; it is freed at the end. */
  readonly network: StudyNetwork<T>;
  /** A sample of each of these classes; the caller owns them. */
  draw(labels: readonly number[]): T;
}

/** How networks that are told classes are trained and drawn with. */
export const CLASS_SCHEDULER = new DDIMScheduler({
  prediction_type: "v_prediction",
  beta_schedule: "squaredcos_cap_v2",
  timestep_spacing: "trailing",
  clip_sample: false,
});
export const GUIDED_STEPS = 32;
/** Where guidance helps and does not take variety away, in timesteps. */
const INTERVAL = [150, 700] as const;

/**
 * A network that is told classes, and ways to make it keep to them: classifier-free guidance, everywhere and in
 * an interval, and autoguidance by a narrower network that trained a quarter as long (Karras et al. 2024, section 5.1,
 * who show it on points of the plane).
 */
export async function* guidedMethods<T extends tf.Tensor>(
  run: StudyRun<T>,
): AsyncGenerator<ConditionalDrawer<T>, void> {
  const { classes, guidedWidths } = run.subject;
  const lesson = (name: string, width: number, share: number) =>
    learn(run, {
      name,
      width,
      classes,
      share,
      loss: (network, { x0, labels, noise }) => {
        const told = dropConditions(labels, classes, 0.1, noise.at("drop").random());
        return denoisingLoss({ scheduler: CLASS_SCHEDULER, model: (x, t) => network.forward(x, t, told), x0, noise });
      },
    });
  const main = await lesson("classes", guidedWidths[0], 1);
  const weak = await lesson("classes-weak", guidedWidths[1], 0.25);
  const tell =
    (network: StudyNetwork<T>, labels: readonly number[] = []): Network<T> =>
    (x, told) =>
      network.forward(x, told, labels);
  const drawer = (name: string, network: (labels: readonly number[]) => Network<T>): ConditionalDrawer<T> => ({
    name,
    network: main,
    draw(labels) {
      const noise = keyedNoise(run.seed).at("guided");
      const start = noise.at("start").normal([labels.length, ...run.subject.shape]) as T;
      const drawn = runPlan(CLASS_SCHEDULER.plan(GUIDED_STEPS), network(labels), start, noise);
      start.dispose();
      return drawn;
    },
  });
  const away =
    (from: "no class" | "weak", scale: number, interval?: readonly [number, number]) => (labels: readonly number[]) =>
      guidedNetwork({
        network: tell(main, labels),
        awayFrom: from === "weak" ? tell(weak, labels) : tell(main),
        scale,
        interval,
      });
  try {
    yield drawer("no guidance", (labels) => tell(main, labels));
    yield drawer("classifier-free, 3", away("no class", 3));
    yield drawer(`classifier-free, 3, timesteps ${INTERVAL.join(" to ")}`, away("no class", 3, INTERVAL));
    yield drawer("autoguidance, 2", away("weak", 2));
  } finally {
    for (const network of [main, weak]) network.dispose();
  }
}
