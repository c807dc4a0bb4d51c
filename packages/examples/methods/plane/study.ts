import * as tf from "@tensorflow/tfjs";
import { precisionRecall } from "@tfjs-diffusion/core/metrics";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import type { Study } from "../study.js";
import type { Subject } from "../subject.js";
import { PlaneNetwork } from "./network.js";
import type { PlaneSet } from "./sets.js";
import { slicedDistance } from "./sliced-distance.js";

/** A set of the plane as a subject. */
export const planeSubject = (set: PlaneSet): Subject<tf.Tensor2D> => ({
  shape: [2],
  classes: set.classes,
  sigmaData: 0.5,
  // Data of this size need no 80.
  sigmaMax: 20,
  guidedWidths: [48, 12],
  batch(size, noise) {
    const random = noise.at("data").random();
    const points = Array.from({ length: size }, () => set.draw(random));
    return { x0: tf.tensor2d(points.map(({ at }) => [...at])), labels: points.map(({ label }) => label) };
  },
  network: (noise, options) => new PlaneNetwork(noise, options),
});

const SAMPLES = 4000;

/** A set of the plane, measured by the sliced Wasserstein distance. */
export function planeStudy(set: PlaneSet, seed: number): Study<tf.Tensor2D> {
  const points = (stream: string) => {
    const random = keyedRandom(seed, stream);
    return Array.from({ length: SAMPLES }, () => set.draw(random));
  };
  const ats = (stream: string) => points(stream).map(({ at }) => [...at]);
  const data = ats("data");
  const ofClasses = points("class");
  const ofClass = Array.from({ length: set.classes }, (_, label) =>
    ofClasses.filter((point) => point.label === label).map(({ at }) => [...at]),
  );
  const samplesOfClass = Math.min(1000, ...ofClass.map(({ length }) => length));
  return {
    subject: planeSubject(set),
    samples: SAMPLES,
    atOnce: SAMPLES,
    unit: "1000 x the sliced Wasserstein distance to the data",
    distance: async (drawn) => 1000 * slicedDistance(await drawn.array(), data),
    floor: () => Promise.resolve(1000 * slicedDistance(ats("more data"), data)),
    samplesOfClass,
    columns: ["distance", "precision", "recall"],
    async measureClass(label, drawn) {
      const real = ofClass[label]!.slice(0, samplesOfClass);
      const points = await drawn.array();
      const { precision, recall } = precisionRecall(points, real);
      return [1000 * slicedDistance(points, real), precision, recall];
    },
    dispose: () => undefined,
  };
}
