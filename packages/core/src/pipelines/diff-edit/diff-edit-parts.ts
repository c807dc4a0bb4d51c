import { publicConfig, type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { liveParts, type PartKinds, SCHEDULER } from "../parts/live-parts.js";
import { STABLE_DIFFUSION_KINDS, type StableDiffusionParts } from "../stable-diffusion/stable-diffusion.js";

/** What DiffEdit is made of. */
export interface DiffEditParts extends StableDiffusionParts {
  /** From noise to pictures. Default: DDIM on the noise levels of the pipeline's scheduler. */
  scheduler: Scheduler;
  /** From pictures to noise. Default: DDIM's way back, on the same noise levels. */
  inverseScheduler: Scheduler;
}

/** How to go from noise to pictures and back. */
export type DiffEditSchedulers = Partial<Pick<DiffEditParts, "scheduler" | "inverseScheduler">>;

const KINDS: PartKinds<DiffEditParts> = { ...STABLE_DIFFUSION_KINDS, inverseScheduler: SCHEDULER };

/**
 * The parts as an object whose properties can be assigned: schedulers of its own, all else those of the pipeline that
 * the edit works with, which is also where they are checked.
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
  // Whether the networks fit each other, the pipeline's own parts say.
  return liveParts("StableDiffusionDiffEditPipeline", parts as DiffEditParts, KINDS, () => undefined);
}

/** Schedulers of a class on the noise levels of the pipeline's, made anew only for another one. */
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
