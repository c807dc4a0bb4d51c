import type { ConfigSpec } from "./config.js";
import { type Level, levelOf } from "./prediction.js";
import { alphaBars, betas, rescaleZeroTerminalSnr } from "./schedule.js";
import { BaseScheduler, type PlanRequest } from "./scheduler.js";
import { type TrainingRule, variancePreserving } from "./training.js";
import { requireRequest, requireStepCount, requireTimesteps, requireWithin, spacedTimesteps } from "./spacing.js";

/** A scheduler whose noise levels are the trained timesteps 0 to T - 1 of a variance-preserving process. */
export abstract class TrainedScheduler<Config extends object> extends BaseScheduler<Config> {
  readonly alphaBar: Float64Array;

  protected constructor(spec: ConfigSpec, given: object) {
    super(spec, given);
    const trained = betas(this.settings);
    this.alphaBar = alphaBars(this.settings.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(trained) : trained);
  }

  /** Whole timesteps; the network's input is x itself. */
  get training(): TrainingRule {
    return variancePreserving(this.settings.prediction_type, this.alphaBar);
  }

  protected levelAt(t: number): Level {
    const alphaBar = this.alphaBar[t];
    if (alphaBar === undefined) {
      throw new RangeError(
        `Timestep ${t} is not a trained timestep; give whole numbers from 0 to ${this.alphaBar.length - 1}.`,
      );
    }
    return levelOf(alphaBar);
  }

  /** The timesteps of a request, or those of the config's spacing, from the noisiest. */
  protected visited(request: PlanRequest): number[] {
    const { num_train_timesteps: T, timestep_spacing, steps_offset } = this.settings;
    const { steps, timesteps } = requireRequest(request, "steps", "timesteps");
    if (timesteps) {
      requireTimesteps(timesteps, T);
      return [...timesteps];
    }
    requireStepCount(steps, T);
    const spaced = spacedTimesteps(timestep_spacing, steps, T, steps_offset);
    requireWithin(spaced, T, steps_offset);
    return spaced;
  }
}
