import { sizeOf } from "../platform/size-of.js";
import { namedParameters, type Parameter } from "../nn/parameter.js";
import { isFloat, otherThanFloat } from "../weights/dtypes.js";
import { WeightsMismatchError } from "../weights/errors.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import { bundledWord } from "./bundled-words.js";
import { MAGNITUDE_ROLES, magnitudeAxis, type MagnitudeAxis } from "./formats/dora.js";
import { type ByRole, type LoraFormat, misfit } from "./formats/format.js";
import { formatsOf, otherMethod } from "./formats/formats.js";
import { type LoraModels, type LoraPart, partsOf } from "./lora-models.js";
import { LoraModules, loraTensor } from "./lora-names.js";

/** The names of the tensors that change one parameter. */
export interface LoraGroup {
  part: LoraPart;
  /** The parameter's name in its network. */
  name: string;
  parameter: Parameter;
  format: LoraFormat;
  factors: ByRole<string>;
  alpha?: string;
  /** DoRA's magnitudes. */
  magnitude?: { stored: string; axis: MagnitudeAxis };
}

/** The tensors of a file, grouped by their names and shapes. */
export interface LoraGroups {
  groups: LoraGroup[];
  /** Names of tensors that change nothing in these networks. */
  unused: string[];
  /** Words that were learned along with the LoRA. */
  words: string[];
}

/** Everything stored for one parameter, before it is checked. */
interface Found {
  part: LoraPart;
  name: string;
  parameter: Parameter;
  stored: Record<string, string>;
}

/**
 * Groups a file's tensors by the parameters they change, and checks that each group makes a change of its parameter.
 *
 * @throws WeightsMismatchError (at most 20 lines) for a group that is incomplete or does not fit, for tensors of
 *   unsupported methods, if no tensor can be used, and with `strict` for unused names
 */
export function checkedGroups(file: SafetensorsFile, models: LoraModels, strict: boolean): LoraGroups {
  const { found, unused, words, problems } = findGroups(file, models);
  const groups: LoraGroup[] = [];
  for (const each of found) {
    const result = checkedGroup(file, each);
    unused.push(...result.unused);
    problems.push(...result.problems.map((problem) => `${each.part} ${each.name}: ${problem}`));
    if (result.group) groups.push(result.group);
  }
  const there =
    partsOf(models)
      .map(([part]) => part)
      .join(", ") || "any network";
  const idle = unused.map((name) => `${name} changes no module of ${there}`);
  if (problems.length > 0) throw mismatch(file, problems);
  if (groups.length === 0)
    throw mismatch(file, [...words.map((word) => `the word ${word} changes no weight`), ...idle]);
  if (strict && idle.length > 0) throw mismatch(file, idle);
  return { groups, unused, words };
}

function findGroups(file: SafetensorsFile, models: LoraModels) {
  const present = partsOf(models);
  const modules = new Map(present.map(([part, model]) => [part, new LoraModules(model)]));
  const parameters = new Map(present.map(([part, model]) => [part, new Map(namedParameters(model))]));
  const found = new Map<Parameter, Found>();
  const words = new Set<string>();
  const [unused, problems]: [string[], string[]] = [[], []];
  for (const stored of file.tensors.keys()) {
    const target = loraTensor(stored, modules);
    const word = target ? undefined : bundledWord(stored)?.word;
    const method = target ? undefined : otherMethod(stored);
    if (word !== undefined) words.add(word);
    else if (method !== undefined)
      problems.push(
        `${stored} is of another method, ${method}, which is not supported; fuse it with the program that made it`,
      );
    else if (!target) unused.push(stored);
    if (!target) continue;
    const { part, parameter: name, role } = target;
    const parameter = parameters.get(part)!.get(name)!;
    const group = found.get(parameter) ?? { part, name, parameter, stored: {} };
    const other = group.stored[role];
    if (other !== undefined) problems.push(`${stored} and ${other} are both for ${part} ${name}`);
    group.stored[role] = stored;
    found.set(parameter, group);
  }
  return { found: found.values(), unused, words: [...words], problems };
}

/** A group, or the problem with its tensors; and the names of tensors without effect in it. */
interface CheckedGroup {
  group?: LoraGroup;
  problems: string[];
  unused: string[];
}

function checkedGroup(file: SafetensorsFile, { stored, ...of }: Found): CheckedGroup {
  const { alpha, ...others } = stored;
  const isMagnitude = ([role]: [string, string]) => MAGNITUDE_ROLES.includes(role);
  const magnitudes = Object.entries(others).filter(isMagnitude);
  const factors = Object.fromEntries(Object.entries(others).filter((entry) => !isMagnitude(entry)));
  const [format, another] = formatsOf(Object.keys(factors));
  if (another) return { unused: [], problems: [`it is changed by both ${format!.name} and ${another.name}`] };
  const beside = [alpha, ...magnitudes.map(([, name]) => name)].filter((name) => name !== undefined);
  if (!format) return { unused: beside, problems: [] };
  const weight = of.parameter.diskShape;
  const found = [format.problem(shapesOf(file, factors), weight), ...Object.values(factors).map(numberProblem(file))];
  const group: LoraGroup = { ...of, format, factors };
  if (format.rank) {
    if (alpha !== undefined) group.alpha = alpha;
    if (alpha !== undefined && sizeOf(file.tensors.get(alpha)!.shape) !== 1) found.push(`${alpha} is not one number`);
    if (magnitudes.length > 1) found.push(`it has both ${magnitudes.map(([, name]) => name).join(" and ")}`);
    for (const [role, name] of magnitudes) {
      const { shape } = file.tensors.get(name)!;
      const axis = magnitudeAxis(role, shape, weight);
      found.push(numberProblem(file)(name), axis === undefined ? misfit({ [role]: shape }, weight) : undefined);
      group.magnitude = { stored: name, axis: axis ?? 0 };
    }
  }
  const problems = found.filter((problem) => problem !== undefined);
  return { group: problems.length === 0 ? group : undefined, problems, unused: format.rank ? [] : beside };
}

function numberProblem({ tensors }: SafetensorsFile) {
  return (stored: string): string | undefined => {
    const { dtype, shape } = tensors.get(stored)!;
    if (!isFloat(dtype)) return `${stored} is of ${otherThanFloat(dtype)}`;
    return sizeOf(shape) === 0 ? `${stored} is empty` : undefined;
  };
}

/** A LoRA of another model can have thousands of problems; these are enough to see what is wrong. */
const MOST_PROBLEMS = 15;

function mismatch({ name }: SafetensorsFile, problems: readonly string[]): WeightsMismatchError {
  const shown = problems.slice(0, MOST_PROBLEMS).map((problem) => `\n  ${problem}`);
  if (problems.length > MOST_PROBLEMS) shown.push(`\n  and ${problems.length - MOST_PROBLEMS} more`);
  const count = `${problems.length} problem${problems.length === 1 ? "" : "s"}`;
  return new WeightsMismatchError(
    `${name}: not a LoRA of these networks (${count}). Was it made for another model? No weight was changed.${shown.join("")}`,
  );
}

/** The shapes of the stored tensors, by role. */
export function shapesOf(file: SafetensorsFile, stored: ByRole<string>): ByRole<readonly number[]> {
  return Object.fromEntries(Object.entries(stored).map(([role, name]) => [role, file.tensors.get(name)!.shape]));
}
