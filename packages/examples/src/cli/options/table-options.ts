import { type Option, STABLE_DIFFUSION_OPTIONS as OPTIONS } from "@tfjs-diffusion/core/pipelines";
import { wrong } from "./option-values.js";

/** The options of pipelines that a command line offers; names, limits and help lines are those of the library. */
export const TABLE = {
  negative: OPTIONS.negativePrompt,
  guidance: OPTIONS.guidanceScale,
  rescale: OPTIONS.guidanceRescale,
  steps: OPTIONS.numInferenceSteps,
  timesteps: OPTIONS.timesteps,
  sigmas: OPTIONS.sigmas,
  seed: OPTIONS.seed,
  count: OPTIONS.numImages,
  width: OPTIONS.width,
  height: OPTIONS.height,
  strength: OPTIONS.strength,
  "mask-blur": OPTIONS.maskBlur,
  "clip-skip": OPTIONS.clipSkip,
  "prompt-weights": OPTIONS.promptWeighting,
} satisfies Record<string, Option<unknown>>;

/** The name of one of them after the two hyphens. */
export type TableName = keyof typeof TABLE;

/** The type of its value. */
type Value<Name extends TableName> = (typeof TABLE)[Name] extends Option<infer T> ? T : never;

/**
 * Reads what follows an option; undefined where it was left out.
 *
 * @throws UsageError for what the table does not take
 */
export function tableValue<Name extends TableName>(name: Name, text: string): Value<Name>;
export function tableValue<Name extends TableName>(name: Name, text: string | undefined): Value<Name> | undefined;
export function tableValue(name: TableName, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const { flag, fits, expected }: Option<unknown> = TABLE[name];
  const value = flag?.read?.(text);
  const isTooMuch = typeof value === "number" && value > (flag?.most ?? Infinity);
  if (isTooMuch || !fits(value)) throw wrong(name, text, flag?.expected ?? expected);
  return value;
}

/** Its line of help: `more` follows what the table says. */
export function helpLine(name: TableName, column: number, more = ""): string {
  const { flag }: Option<unknown> = TABLE[name];
  return `  ${(flag?.usage ?? "").padEnd(column - 1)} ${flag?.help}${more}`;
}
