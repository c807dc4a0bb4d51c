import { publicConfig, type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { PipelinePartsError } from "../options/errors.js";
import { liveParts, type PartKinds, SCHEDULER } from "../parts/live-parts.js";
import { requireSampler } from "../parts/part-checks.js";
import { STABLE_DIFFUSION_KINDS, type StableDiffusionParts } from "../stable-diffusion/stable-diffusion.js";

/** The parts of DiffEdit. */
export interface DiffEditParts extends StableDiffusionParts {
  /** The sampler, from noise to picture. Default: a DDIMScheduler with the noise levels of the pipeline's scheduler. */
  scheduler: Scheduler;
  /**
   * The sampler of the inversion, from picture to noise. Default: a DDIMInverseScheduler with the same noise levels.
   */
  inverseScheduler: Scheduler;
}

/** The schedulers that replace the defaults. */
export type DiffEditSchedulers = Partial<Pick<DiffEditParts, "scheduler" | "inverseScheduler">>;

const NAME = "StableDiffusionDiffEditPipeline";
const KINDS: PartKinds<DiffEditParts> = { ...STABLE_DIFFUSION_KINDS, inverseScheduler: SCHEDULER };

/**
 * The parts as an object whose properties can be assigned. The two schedulers belong to the edit; all other parts are
 * read from and assigned to the pipeline, which checks them.
 */
export function diffEditParts(pipeline: StableDiffusionParts, given: DiffEditSchedulers): DiffEditParts {
  const own = { ...given };
  const ofClass = onNoiseLevels(pipeline);
  const parts = {
    get scheduler() {
      return own.scheduler ?? ofClass("DDIMScheduler");
    },
    set scheduler(scheduler: Scheduler) {
      own.scheduler = scheduler;
    },
    get inverseScheduler() {
      return own.inverseScheduler ?? ofClass("DDIMInverseScheduler");
    },
    set inverseScheduler(scheduler: Scheduler) {
      own.inverseScheduler = scheduler;
    },
  };
  for (const name of ["unet", "vae", "textEncoder", "tokenizer"] as const) {
    Object.defineProperty(parts, name, {
      enumerable: true,
      get: () => pipeline[name],
      set: (part) => (pipeline[name] = part as never),
    });
  }
  // The pipeline's own parts check whether the networks fit each other.
  return liveParts(NAME, parts as DiffEditParts, KINDS, ({ scheduler, inverseScheduler }) => {
    requireSampler(NAME, "scheduler", scheduler);
    if (inverseScheduler.traits?.inverse) return;
    throw new PipelinePartsError(
      `${NAME}: inverseScheduler: ${inverseScheduler.config._class_name} goes from noise to pictures; use a sampler ` +
        "that goes the other way, such as DDIMInverseScheduler.",
    );
  });
}

/**
 * Makes a scheduler of a class with the noise levels of the pipeline's scheduler, and again only after that one has
 * changed.
 */
function onNoiseLevels(pipeline: StableDiffusionParts): (className: string) => Scheduler {
  const made = new Map<string, { source: Scheduler; scheduler: Scheduler }>();
  return (_class_name) => {
    const source = pipeline.scheduler;
    const last = made.get(_class_name);
    if (last?.source === source) return last.scheduler;
    const scheduler = schedulerFromConfig({ ...publicConfig(source.config), clip_sample: false, _class_name });
    made.set(_class_name, { source, scheduler });
    return scheduler;
  };
}
