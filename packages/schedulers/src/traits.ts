/**
 * The kinds of networks that methods sample from. They differ in input, time input and output:
 *
 * - `timestep`: gets one of T trained timesteps, predicts noise, clean sample or v (DDPM, Stable Diffusion);
 * - `distilled`: the same, distilled to make large steps along a trajectory (LCM, TCD);
 * - `unclip`: the same, on the noise schedule of unCLIP's prior and decoder;
 * - `flow`: gets sigma T, predicts the direction of a straight path (Stable Diffusion 3, Flux);
 * - `edm`: gets ln(sigma) / 4, input and output scaled to variance 1 (Karras et al. 2022);
 * - `consistency`: gets a noise level, predicts the end of its trajectory (Song et al. 2023);
 * - `score`: gets a time from 0 to 1, predicts the score for a stochastic differential equation (Song et al. 2021b);
 * - `angle`: gets an angle from 0 to 1 (in units of a right angle), predicts v (v-diffusion).
 */
export type NetworkKind = "timestep" | "distilled" | "unclip" | "flow" | "edm" | "consistency" | "score" | "angle";

/** Properties of a sampling method that programs can use instead of the method's name. */
export interface SchedulerTraits {
  /** The networks that the method samples from. */
  readonly network: NetworkKind;
  /** Whether its steps draw fresh noise by default. */
  readonly stochastic: boolean;
  /** Why the method cannot sample from noise alone, to follow its name in a sentence. Absent if it can. */
  readonly notFromNoise?: string;
  /** Whether it goes the other way, from pictures to noise. Absent: it does not. */
  readonly inverse?: boolean;
  /**
   * Whether its first step diverges from a nearly infinite noise level, such as sigma = 20,000 where a cosine schedule
   * ends. Absent: it does not.
   */
  readonly divergesFromPureNoise?: boolean;
  /**
   * Whether its steps read variances, which the network predicts in a second half of its channels. Absent: they do not.
   */
  readonly readsVariance?: boolean;
}

/** The default traits: steps without noise, for networks with trained timesteps. */
export const DEFAULT_TRAITS: SchedulerTraits = { network: "timestep", stochastic: false };
