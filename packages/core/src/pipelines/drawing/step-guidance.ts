import { isRefusedPromise } from "../../platform/refused-promise.js";
import { PipelineOptionError } from "../options/errors.js";
import { shown } from "../options/shown.js";
import { needsGuidance } from "./guidance.js";

/** A step, for a function that decides how strongly it is guided. */
export interface GuidanceStep {
  /** From 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  readonly timestep: number;
  /** Noise level relative to the signal: sigma / alpha. */
  readonly noise: number;
}

/** The options of guidance, each already checked. */
export interface GuidanceRequest {
  guidanceScale: number;
  guidanceInterval?: readonly [number, number];
  guidanceFunction?: (step: GuidanceStep) => number;
}

/** Whether any step may be guided. */
export function mayGuide({ guidanceScale, guidanceFunction }: GuidanceRequest): boolean {
  return guidanceFunction !== undefined || needsGuidance(guidanceScale);
}

/**
 * The guidance scale of a step: that of all steps or of the caller's function, and 1 outside the interval (Kynkaanniemi
 * et al. 2024), which is given in shares of the steps, as in diffusers: of 10 steps, [0.2, 0.8] guides 2 to 7.
 *
 * @throws PipelineOptionError if the function returns no finite number
 */
export function guidanceAt(
  { guidanceScale, guidanceInterval: [from, to] = [0, 1], guidanceFunction }: GuidanceRequest,
  step: GuidanceStep,
): number {
  const { index, total } = step;
  if (index < Math.trunc(from * total) || index >= Math.trunc(to * total)) return 1;
  const scale: unknown = guidanceFunction ? guidanceFunction(step) : guidanceScale;
  if (typeof scale === "number" && Number.isFinite(scale)) return scale;
  const remedy = isRefusedPromise(scale) ? "; it must not be asynchronous" : "";
  throw new PipelineOptionError(
    `guidanceFunction: returned ${shown(scale)} for step ${index} of ${total}; expected a finite number${remedy}.`,
  );
}
