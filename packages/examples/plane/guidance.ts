import type * as tf from "@tensorflow/tfjs";
import { dropConditions, denoisingLoss } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, guidedNetwork, keyedNoise, type Network, runPlan } from "@tfjs-diffusion/schedulers";
import { learn, type PlaneRun } from "./learn.js";
import type { PlaneNetwork } from "./network.js";

/** A way to draw points of given classes. */
export interface ConditionalDrawer {
  readonly name: string;
  /** Samples [labels, 2] of these classes; the caller owns them. */
  draw(labels: readonly number[]): tf.Tensor2D;
}

const scheduler = new DDIMScheduler({
  prediction_type: "v_prediction",
  beta_schedule: "squaredcos_cap_v2",
  timestep_spacing: "trailing",
  clip_sample: false,
});
const STEPS = 32;
/** Where guidance helps and does not take variety away, in timesteps. */
const INTERVAL = [150, 700] as const;

/**
 * A small network that is told classes, and ways to make it keep to them: classifier-free guidance, everywhere and in
 * an interval, and autoguidance by a network with a quarter of the width that trained a quarter as long (Karras et al.
 * 2024, section 5.1, who show it on points of the plane).
 */
export async function* guidedMethods(run: PlaneRun): AsyncGenerator<ConditionalDrawer, void> {
  const { classes } = run.set;
  const lesson = (name: string, width: number, share: number) =>
    learn(run, {
      name,
      width,
      classes,
      share,
      loss: (network, { x0, labels, noise }) => {
        const told = dropConditions(labels, classes, 0.1, noise.at("drop").random());
        return denoisingLoss({ scheduler, model: (x, t) => network.forward(x, t, told), x0, noise });
      },
    });
  const [main, weak] = [await lesson("classes", 48, 1), await lesson("classes-weak", 12, 0.25)];
  const tell =
    (network: PlaneNetwork, labels: readonly number[] = []): Network<tf.Tensor2D> =>
    (x, told) =>
      network.forward(x, told, labels);
  const drawer = (name: string, network: (labels: readonly number[]) => Network<tf.Tensor2D>): ConditionalDrawer => ({
    name,
    draw(labels) {
      const noise = keyedNoise(run.seed).at("guided");
      const start = noise.at("start").normal([labels.length, 2]) as tf.Tensor2D;
      const drawn = runPlan(scheduler.plan(STEPS), network(labels), start, noise);
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
