import { ldmUnetName } from "../weights/ldm-names.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { namedParameters } from "../nn/parameter.js";

/** The networks that a LoRA can change, by the names of a diffusers folder. */
export type LoraPart = "unet" | "text_encoder" | "text_encoder_2";

/** What a tensor of a LoRA file is. */
export interface LoraTensor {
  part: LoraPart;
  /** The parameter it changes, as the network names it. */
  parameter: string;
  role: "down" | "up" | "alpha";
}

/** Where prefixes lead. The longer come first. */
const PREFIXES: readonly (readonly [string, LoraPart])[] = [
  ["text_encoder_2.", "text_encoder_2"],
  ["text_encoder.", "text_encoder"],
  ["unet.", "unet"],
];
/** PEFT's own files, and some of others, do not say which network they change: the first that has such a module. */
const NAMELESS = /^(?:base_model\.model\.)?/;
const KOHYA_PREFIXES: readonly (readonly [string, LoraPart])[] = [
  ["lora_te2_", "text_encoder_2"],
  ["lora_te1_", "text_encoder"],
  ["lora_te_", "text_encoder"],
  ["lora_unet_", "unet"],
];

/**
 * [how the end of a name says what the tensor is, which of the two factors]; `$1` of the first form is a module inside
 * attention.
 */
const DOWN_UP: readonly (readonly [RegExp, LoraTensor["role"]])[] = [
  [/\.lora_A(?:\.\w+)?\.weight$/, "down"],
  [/\.lora_B(?:\.\w+)?\.weight$/, "up"],
  [/\.lora(?:_linear_layer)?\.down\.weight$/, "down"],
  [/\.lora(?:_linear_layer)?\.up\.weight$/, "up"],
  [/\.lora_down\.weight$/, "down"],
  [/\.lora_up\.weight$/, "up"],
  [/\.alpha$/, "alpha"],
];

/** How the ends of names show other methods than LoRA, in files that come from the same programs. */
const OTHER_METHODS: readonly (readonly [RegExp, string])[] = [
  [/\.hada_\w+$/, "LoHa"],
  [/\.lokr_\w+$/, "LoKr"],
  [/\.dora_scale$|\.lora_magnitude_vector\b/, "DoRA"],
  [/\.lora_mid\.weight$/, "LoCon by Tucker's decomposition"],
  [/\.oft_\w+(?:\.weight)?$/, "OFT"],
  [/\.(?:diff|diff_b)$/, "whole differences of weights"],
];

/** The method that a tensor belongs to, where it is not LoRA. */
export function otherMethod(stored: string): string | undefined {
  return OTHER_METHODS.find(([ending]) => ending.test(stored))?.[1];
}

/**
 * diffusers' first form: `….attn1.processor.to_q_lora.down.weight`; in text encoders
 * `….self_attn.to_q_lora.down.weight`.
 */
const PROCESSOR = /\.(?:processor\.)?to_(q|k|v|out)_lora\.(down|up)\.weight$/;

/**
 * Names of modules by their path with every dot an underscore, as kohya's scripts write it: made once for a network.
 */
export class LoraModules {
  readonly #byPath = new Map<string, string>();

  constructor(model: object) {
    for (const [name] of namedParameters(model)) {
      if (!name.endsWith(".weight")) continue;
      this.#add(name, name);
      // transformers 5 has a lone text tower without its prefix.
      if (name.startsWith("text_model.")) this.#add(name.slice("text_model.".length), name);
      // SDXL's are named as in the single file.
      if (model instanceof UNet2DConditionModel) this.#addLdm(name, model);
    }
  }

  #add(path: string, parameter: string): void {
    this.#byPath.set(path.slice(0, -".weight".length).replaceAll(".", "_"), parameter);
  }

  #addLdm(name: string, model: UNet2DConditionModel): void {
    try {
      this.#add(ldmUnetName(name, model.config), name);
    } catch {
      // A block that the first code did not have has no second name.
    }
  }

  /** The parameter of a module, whatever separates the parts of its path. */
  parameter(path: string): string | undefined {
    return this.#byPath.get(path.replaceAll(".", "_"));
  }
}

/**
 * Reads a name of a LoRA file in any of the forms in use: PEFT's, diffusers' first, kohya's. undefined if it is none of
 * them, or if the network it belongs to is not there or has no such module.
 */
export function loraTensor(stored: string, modules: ReadonlyMap<LoraPart, LoraModules>): LoraTensor | undefined {
  const [path, role] = pathAndRole(stored);
  if (role === undefined) return undefined;
  const named = [...KOHYA_PREFIXES, ...PREFIXES].find(([prefix]) => path.startsWith(prefix));
  const module = named ? path.slice(named[0].length) : path.replace(NAMELESS, "");
  for (const part of named ? [named[1]] : (["unet", "text_encoder", "text_encoder_2"] as const)) {
    const parameter = modules.get(part)?.parameter(module);
    if (parameter !== undefined) return { part, parameter, role };
  }
  return undefined;
}

function pathAndRole(stored: string): [path: string, role: LoraTensor["role"] | undefined] {
  const inside = PROCESSOR.exec(stored);
  if (inside) {
    const [ending, which, role] = inside as unknown as [string, "q" | "k" | "v" | "out", "down" | "up"];
    const inText = stored.includes(".self_attn.");
    const module = inText ? `${which}_proj` : which === "out" ? "to_out.0" : `to_${which}`;
    return [`${stored.slice(0, -ending.length)}.${module}`, role];
  }
  const form = DOWN_UP.find(([ending]) => ending.test(stored));
  return form ? [stored.replace(form[0], ""), form[1]] : [stored, undefined];
}
