import type { Settings } from "../config.js";
import { SchedulerConfigError } from "../errors.js";
import { type Algorithm, ALGORITHMS } from "../numerics/exponential-integrator.js";

/** The algorithm that a config names; a value of another solver means "dpmsolver++". */
export function requireDataPrediction(className: string, { algorithm_type, final_sigmas_type }: Settings): Algorithm {
  const algorithm = Object.hasOwn(ALGORITHMS, algorithm_type)
    ? ALGORITHMS[algorithm_type as keyof typeof ALGORITHMS]
    : ALGORITHMS["dpmsolver++"];
  if (algorithm.predicts === "epsilon" && final_sigmas_type === "zero") {
    throw new SchedulerConfigError(
      `${className}: algorithm_type ${algorithm_type} cannot step to a noise level of 0, where epsilon is undefined. ` +
        "Set final_sigmas_type to sigma_min, or algorithm_type to dpmsolver++.",
    );
  }
  return algorithm;
}
