import type { Plan, PlanRequest, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";
import { whyNotToDraw } from "../options/sampler-checks.js";
import { shown } from "../options/shown.js";

/** How to plan for a network, and how to name the steps in errors. */
interface PlanSettings {
  /** Whether the network also predicts variances. */
  predictsVariance?: boolean;
  /** The option that `steps` was given as, if it is a number. */
  option?: string;
}

/** {@link planSteps} for drawing: also refuses a scheduler that cannot start from noise. */
export function planDrawing(
  scheduler: Scheduler,
  steps: PlanRequest,
  { predictsVariance, option }: PlanSettings = {},
): Plan {
  const reason = whyNotToDraw(scheduler, predictsVariance);
  if (reason) {
    const { _class_name } = scheduler.config;
    throw new PipelineOptionError(
      `scheduler: ${_class_name} ${reason}; give another scheduler, such as DDIMScheduler.`,
    );
  }
  return planSteps(scheduler, steps, option);
}

/**
 * The sampler's plan.
 *
 * @param option the name of the option that gave `steps`, if it is a number
 * @throws PipelineOptionError in the option's name for steps that the sampler cannot make, and in the name of
 *   `scheduler` for a sampler of one's own whose plan is incomplete
 */
export function planSteps(scheduler: Scheduler, steps: PlanRequest, option = "numInferenceSteps"): Plan {
  return requirePlan(scheduler, makePlan(scheduler, steps, option));
}

function makePlan(scheduler: Scheduler, steps: PlanRequest, option: string): unknown {
  try {
    return scheduler.plan(steps);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const [name, value] = typeof steps === "number" ? [option, steps] : Object.entries(steps)[0]!;
    const what = error.message.replace(/^plan(\(.*?\))?: /, "");
    throw new PipelineOptionError(`${name}: ${shown(value)}; ${what}`, { cause: error });
  }
}

const LISTS = ["timesteps", "stepStarts", "sigmas", "levels"] as const satisfies (keyof Plan)[];
const FUNCTIONS = ["start", "resume", "addNoise", "scaleInput", "step"] as const satisfies (keyof Plan)[];

function requirePlan({ config }: Scheduler, plan: unknown): Plan {
  const found = (typeof plan === "object" && plan !== null ? plan : {}) as Partial<Plan>;
  const isList = (value: unknown) =>
    typeof value === "object" && value !== null && "length" in value && value.length !== 0;
  const bad = [
    ...LISTS.filter((name) => !isList(found[name])),
    ...FUNCTIONS.filter((name) => typeof found[name] !== "function"),
  ];
  if (bad.length === 0) return found as Plan;
  throw new PipelineOptionError(
    `scheduler: ${config._class_name}.plan gave ${shown(plan)}; missing or of another kind: ${bad.join(", ")}. A plan has ` +
      `the lists ${LISTS.join(", ")} and the functions ${FUNCTIONS.join(", ")}; makePlan makes all of them.`,
  );
}
