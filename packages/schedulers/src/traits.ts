/**
 * What a network must have been trained for. Each kind has its own input, clock and output:
 *
 * - `timestep`: told one of T trained timesteps, predicts noise, clean sample or v (DDPM, Stable Diffusion);
 * - `distilled`: the same, taught to jump far along a trajectory (LCM, TCD);
 * - `unclip`: the same, on the noise schedule of unCLIP's prior and decoder;
 * - `flow`: told sigma T, predicts the direction of a straight path (Stable Diffusion 3, Flux);
 * - `edm`: told ln(sigma) / 4, input and output scaled to variance 1 (Karras et al. 2022);
 * - `consistency`: told a noise level, predicts the end of its trajectory (Song et al. 2023);
 * - `score`: told a time from 0 to 1 of a stochastic differential equation (Song et al. 2021b);
 * - `angle`: told an angle from 0 to 1, predicts v (v-diffusion).
 */
export type NetworkKind = "timestep" | "distilled" | "unclip" | "flow" | "edm" | "consistency" | "score" | "angle";

/** What a program may ask of a sampling method, so that it need not know the method's name. */
export interface SchedulerTraits {
  /** The networks that the method samples from. */
  readonly network: NetworkKind;
  /** Whether its steps draw fresh noise unless a step's options say otherwise. */
  readonly stochastic: boolean;
  /** Why it cannot draw from noise alone, as what follows the method's name in a sentence; absent: it can. */
  readonly notFromNoise?: string;
  /**
   * Whether its first step diverges from a nearly infinite noise level, such as sigma = 20,000 where a cosine schedule
   * ends. Absent: it does not.
   */
  readonly divergesFromPureNoise?: boolean;
}

/** The traits of a method that does not state its own: steps without noise, for networks told a trained timestep. */
export const DEFAULT_TRAITS: SchedulerTraits = { network: "timestep", stochastic: false };
