import { bundledWord } from "../adapters/bundled-words.js";
import { MAGNITUDE_ROLES } from "../adapters/formats/dora.js";
import { formatsOf, otherMethod } from "../adapters/formats/formats.js";
import { LORA_PARTS, type LoraPart } from "../adapters/lora-models.js";
import { partsAndModule, pathAndEnding } from "../adapters/lora-names.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { TensorInfo } from "../weights/safetensors-header.js";
import type { CheckpointPart, CheckpointReport, LoraReport } from "./checkpoint-report.js";
import { familyOfWidth } from "../models/published-configs.js";
import { totalsOf } from "./tensor-totals.js";

/** The tensors of one module, by their roles, or by their names if the role is unknown. */
interface Module {
  part: LoraPart;
  path: string;
  stored: Record<string, string>;
}

/** Whether the names are those of a LoRA or a related format. */
export function isLora(names: readonly string[]): boolean {
  const isOne = (name: string) => {
    const role = pathAndEnding(name).ending?.role;
    return (role !== undefined && role !== "alpha") || /^lora_(unet|te\d?)_/.test(name);
  };
  return names.some(isOne);
}

/** Inspects the names, shapes and first alphas of a LoRA's file. Borrows the file. */
export async function loraReport(file: SafetensorsFile): Promise<CheckpointReport> {
  const { modules, words, others } = modulesOf(file);
  const groups = new Map<string, TensorInfo[]>();
  for (const { part, stored } of modules) {
    const infos = Object.values(stored).map((name) => file.tensors.get(name)!);
    groups.set(part, [...(groups.get(part) ?? []), ...infos]);
  }
  if (others.length > 0)
    groups.set(
      "other",
      others.map((name) => file.tensors.get(name)!),
    );
  const parts = [...LORA_PARTS, "other"].flatMap((name): CheckpointPart[] => {
    const infos = groups.get(name);
    return infos ? [{ name, ...totalsOf(infos) }] : [];
  });
  const lora = await reportOf(file, modules, words);
  const family = familyOfWidth(modules.map((module) => contextWidthOf(file, module)).find(Boolean));
  const by = ["LoRA", ""].includes(lora.methods.join()) ? "" : ` by ${lora.methods.join(", ")}`;
  const notes = [`Changes ${lora.modules} layers${by}, at rank ${lora.ranks.join(", ") || "?"}.`];
  if (words.length > 0) notes.push(`Holds words for prompts: ${words.join(", ")}.`);
  return { kind: "lora", family, parts, lora, notes };
}

function modulesOf({ tensors }: SafetensorsFile) {
  const modules = new Map<string, Module>();
  const words = new Set<string>();
  const others: string[] = [];
  for (const name of tensors.keys()) {
    const { path, ending } = pathAndEnding(name);
    const word = bundledWord(name)?.word;
    if (word !== undefined) words.add(word);
    if (word !== undefined || !ending) {
      others.push(name);
      continue;
    }
    const { parts, module: inside } = partsAndModule(path);
    const isText = parts.length > 1 && /(^|[._])(text_model|self_attn|mlp[._]fc\d)([._]|$)/.test(inside);
    const module = modules.get(path) ?? { part: isText ? "text_encoder" : parts[0]!, path, stored: {} };
    module.stored[ending.of === "bias" ? "bias" : ending.role] = name;
    modules.set(path, module);
  }
  return { modules: [...modules.values()], words: [...words], others };
}

/** Each alpha is a separate tensor, and needs a request if the file is on a server; a few are enough as examples. */
const MOST_ALPHAS = 8;

async function reportOf(file: SafetensorsFile, modules: Module[], words: string[]): Promise<LoraReport> {
  const [methods, ranks, alphas] = [new Set<string>(), new Set<number>(), new Set<number>(statedAlphas(file))];
  let count = 0;
  for (const { stored } of modules) {
    const roles = Object.keys(stored);
    const [format] = formatsOf(roles.map((role) => (role === "bias" ? "diff" : role)));
    if (!format) continue;
    count++;
    const isDora = roles.some((role) => MAGNITUDE_ROLES.includes(role));
    methods.add(isDora ? (format.name === "LoRA" ? "DoRA" : `${format.name} with DoRA`) : format.name);
    const rank = rankOf(file, stored);
    if (rank !== undefined) ranks.add(rank);
  }
  for (const name of file.tensors.keys()) {
    const other = otherMethod(name);
    if (other !== undefined) methods.add(`${other} (not read)`);
  }
  for (const { stored } of modules.filter(({ stored: { alpha } }) => alpha !== undefined).slice(0, MOST_ALPHAS)) {
    if (file.tensors.get(stored.alpha!)!.shape.every((length) => length === 1))
      alphas.add(Number((await file.read(stored.alpha!))[0]));
  }
  const sorted = (numbers: Set<number>) => [...numbers].sort((a, b) => a - b);
  return { methods: [...methods], modules: count, ranks: sorted(ranks), alphas: sorted(alphas), words };
}

/** The alphas in diffusers' settings. */
function statedAlphas({ metadata }: SafetensorsFile): number[] {
  try {
    const settings = JSON.parse(metadata.lora_adapter_metadata ?? "{}") as Record<string, unknown>;
    const stated = Object.entries(settings).filter(([key]) => /(^|\.)lora_alpha$/.test(key));
    return stated.map(([, alpha]) => alpha).filter((alpha) => typeof alpha === "number");
  } catch {
    return []; // Loading the file reports the problem.
  }
}

function rankOf({ tensors }: SafetensorsFile, stored: Record<string, string>): number | undefined {
  const role = ["down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"].find((each) => stored[each] !== undefined);
  return role === undefined ? undefined : tensors.get(stored[role]!)!.shape[0];
}

/** The input width of a key projection of cross-attention; undefined for other modules. */
function contextWidthOf({ tensors }: SafetensorsFile, { path, stored }: Module): number | undefined {
  if (!/attn2[._](processor\.)?to_k$/.test(path)) return undefined;
  const columns = (...roles: string[]) => {
    const role = roles.find((each) => stored[each] !== undefined);
    return role === undefined ? undefined : tensors.get(stored[role]!)!.shape[1];
  };
  const product = (columns("lokr_w1", "lokr_w1_b") ?? 0) * (columns("lokr_w2", "lokr_w2_b") ?? 0);
  return columns("down", "hada_w1_b", "diff") ?? (product || undefined);
}
