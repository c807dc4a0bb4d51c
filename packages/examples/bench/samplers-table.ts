import { schedulerNames } from "@tfjs-diffusion/schedulers";

/** A row of the table of samplers and a line of its chart: what cannot be measured or read from the class. */
export interface Sampler {
  readonly className: string;
  /** The label in the table, with the measured setting. */
  readonly label: string;
  /** A shorter label for the chart, if any. */
  readonly short?: string;
  readonly inChart?: boolean;
  readonly config?: object;
  /** The number of calls, as text, if a plain number would be wrong. */
  readonly calls?: string;
  readonly noise?: string;
  readonly bestFor?: string;
  readonly paper?: string;
}

const multistep = (solver_order: number) => ({ solver_order, lower_order_final: true });

/** The rows with a comment or a setting of their own. */
const ROWS: readonly Sampler[] = [
  {
    className: "DDPMScheduler",
    label: "DDPM",
    config: { clip_sample: false },
    bestFor: "the reference: all 1,000 steps",
    paper: "Ho et al. 2020",
  },
  {
    className: "DDIMScheduler",
    label: "DDIM",
    inChart: true,
    config: { clip_sample: false, timestep_spacing: "trailing" },
    noise: "with `eta`",
    bestFor: "few, repeatable steps; a base for editing",
    paper: "Song et al. 2021",
  },
  {
    className: "DDIMInverseScheduler",
    label: "DDIMInverse",
    config: { clip_sample: false },
    bestFor: "a picture's noise, to edit it",
    paper: "Song et al. 2021",
  },
  {
    className: "PNDMScheduler",
    label: "PNDM",
    inChart: true,
    config: { skip_prk_steps: true, timestep_spacing: "trailing", set_alpha_to_one: true },
    calls: "1",
    bestFor: "Stable Diffusion 1, as published",
    paper: "Liu et al. 2022",
  },
  { className: "IPNDMScheduler", label: "IPNDM", bestFor: "v-diffusion's networks", paper: "Zhang & Chen 2023" },
  {
    className: "EulerDiscreteScheduler",
    label: "EulerDiscrete",
    inChart: true,
    config: { use_karras_sigmas: true },
    noise: "with `s_churn`",
    bestFor: "SDXL; the simplest that works",
    paper: "Karras et al. 2022",
  },
  {
    className: "EulerAncestralDiscreteScheduler",
    label: "EulerAncestralDiscrete",
    bestFor: "variety; forgives its own errors",
    paper: "Song et al. 2021b; k-diffusion",
  },
  {
    className: "HeunDiscreteScheduler",
    label: "HeunDiscrete",
    inChart: true,
    config: { use_karras_sigmas: true },
    bestFor: "few errors where calls are cheap",
    paper: "Karras et al. 2022",
  },
  {
    className: "LMSDiscreteScheduler",
    label: "LMSDiscrete",
    inChart: true,
    config: { use_karras_sigmas: true },
    bestFor: "many smooth steps",
    paper: "k-diffusion",
  },
  {
    className: "KDPM2DiscreteScheduler",
    label: "KDPM2Discrete",
    inChart: true,
    config: { use_karras_sigmas: true },
    bestFor: "as Heun",
    paper: "Karras et al. 2022; k-diffusion",
  },
  {
    className: "KDPM2AncestralDiscreteScheduler",
    label: "KDPM2AncestralDiscrete",
    bestFor: "as Euler ancestral, finer",
    paper: "k-diffusion",
  },
  {
    className: "DPMSolverMultistepScheduler",
    label: "DPMSolverMultistep, order 2",
    short: "DPM-Solver++ 2M",
    inChart: true,
    config: { ...multistep(2), use_karras_sigmas: true },
    noise: "`sde-` forms",
    bestFor: "15 to 25 steps of most networks",
    paper: "Lu et al. 2022b",
  },
  {
    className: "DPMSolverMultistepScheduler",
    label: "DPMSolverMultistep, order 3",
    short: "DPM-Solver++ 3M",
    inChart: true,
    config: { ...multistep(3), use_karras_sigmas: true },
    noise: "`sde-` forms",
    bestFor: "without guidance; see `curvature`",
    paper: "Lu et al. 2022b",
  },
  {
    className: "DPMSolverMultistepInverseScheduler",
    label: "DPMSolverMultistepInverse",
    bestFor: "as DDIMInverse, in fewer steps",
    paper: "Lu et al. 2022b",
  },
  {
    className: "DPMSolverSinglestepScheduler",
    label: "DPMSolverSinglestep, order 2",
    config: { solver_order: 2 },
    noise: "`sde-` form",
    bestFor: "restarts: needs no history",
    paper: "Lu et al. 2022a",
  },
  {
    className: "DPMSolverSinglestepScheduler",
    label: "DPMSolverSinglestep, order 3",
    short: "DPM-Solver++ 3S",
    inChart: true,
    config: { solver_order: 3, use_karras_sigmas: true, lower_order_final: true },
    noise: "`sde-` form",
    bestFor: "restarts: needs no history",
    paper: "Lu et al. 2022a",
  },
  {
    className: "DPMSolverSDEScheduler",
    label: "DPMSolverSDE",
    bestFor: "detail; best with `brownianNoise`",
    paper: "Lu et al. 2022b",
  },
  {
    className: "UniPCMultistepScheduler",
    label: "UniPCMultistep, order 2",
    short: "UniPC",
    inChart: true,
    config: { solver_order: 2, use_karras_sigmas: true },
    bestFor: "5 to 15 steps",
    paper: "Zhao et al. 2023",
  },
  {
    className: "DEISMultistepScheduler",
    label: "DEISMultistep, order 3",
    config: { solver_order: 3 },
    bestFor: "networks that predict noise, few steps",
    paper: "Zhang & Chen 2023",
  },
  {
    className: "SASolverScheduler",
    label: "SASolver",
    bestFor: "noise in the middle, none at the ends",
    paper: "Xue et al. 2023",
  },
  {
    className: "EDMEulerScheduler",
    label: "EDMEuler",
    noise: "with `s_churn`",
    bestFor: "EDM's networks",
    paper: "Karras et al. 2022",
  },
  {
    className: "EDMDPMSolverMultistepScheduler",
    label: "EDMDPMSolverMultistep",
    noise: "`sde-` form",
    bestFor: "EDM's networks, fewer steps",
    paper: "Lu et al. 2022b",
  },
  {
    className: "FlowMatchEulerDiscreteScheduler",
    label: "FlowMatchEulerDiscrete",
    noise: "optional",
    bestFor: "flow-matching networks (SD 3, Flux)",
    paper: "Lipman et al. 2023; Esser et al. 2024",
  },
  {
    className: "FlowMatchHeunDiscreteScheduler",
    label: "FlowMatchHeunDiscrete",
    noise: "with `s_churn`",
    bestFor: "the same, finer",
    paper: "Karras et al. 2022",
  },
  { className: "LCMScheduler", label: "LCM", bestFor: "distilled networks, 1 to 8 steps", paper: "Luo et al. 2023" },
  {
    className: "TCDScheduler",
    label: "TCD",
    bestFor: "distilled networks, 1 to 8 steps",
    paper: "Zheng et al. 2024",
  },
  {
    className: "CMStochasticIterativeScheduler",
    label: "CMStochasticIterative",
    bestFor: "consistency models, 1 or 2 steps",
    paper: "Song et al. 2023",
  },
  { className: "UnCLIPScheduler", label: "UnCLIP", bestFor: "unCLIP's prior and decoder", paper: "Ramesh et al. 2022" },
  {
    className: "ScoreSdeVeScheduler",
    label: "ScoreSdeVe",
    calls: "`correct_steps` + 1",
    bestFor: "networks that give the score",
    paper: "Song et al. 2021b",
  },
  {
    className: "ScoreSdeVpScheduler",
    label: "ScoreSdeVp",
    bestFor: "continuous VP networks",
    paper: "Song et al. 2021b",
  },
  {
    className: "RePaintScheduler",
    label: "RePaint",
    calls: "with its jumps, 10",
    bestFor: "inpainting with any network",
    paper: "Lugmayr et al. 2022",
  },
];

/** One row or more for every sampler of the package; one that is not in {@link ROWS} is measured with its defaults. */
export const SAMPLERS: readonly Sampler[] = [
  ...ROWS,
  ...schedulerNames
    .filter((name) => !ROWS.some(({ className }) => className === name))
    .map((className) => ({ className, label: className.replace(/Scheduler$/, "") })),
];
