import { namedParameters } from "../nn/parameter.js";
import { ldmUnetName, type UnetLayout } from "../weights/ldm-names.js";
import type { Ending } from "./formats/format.js";
import { endingOf } from "./formats/formats.js";
import { LORA_PARTS, type LoraPart } from "./lora-models.js";

/** The meaning of a tensor of a LoRA file. */
export interface LoraTensor {
  part: LoraPart;
  /** The name in its network of the parameter that it changes. */
  parameter: string;
  /** Its role in the change: "down", "alpha", "hada_w1_a", … */
  role: string;
}

/** Prefixes of names and their networks, the longer prefixes first. */
const PREFIXES: readonly (readonly [string, LoraPart])[] = [
  // kohya's scripts and LyCORIS, SimpleTuner
  ["lora_te2_", "text_encoder_2"],
  ["lora_te1_", "text_encoder"],
  ["lora_te_", "text_encoder"],
  ["lora_unet_", "unet"],
  ["lycoris_", "unet"],
  // diffusers
  ["text_encoder_2.", "text_encoder_2"],
  ["text_encoder.", "text_encoder"],
  ["unet.", "unet"],
  // ComfyUI
  ["text_encoders.clip_g.transformer.", "text_encoder_2"],
  ["text_encoders.clip_l.transformer.", "text_encoder"],
  ["text_encoders.clip_h.transformer.", "text_encoder"],
  ["diffusion_model.", "unet"],
  // the single file
  ["conditioner.embedders.0.transformer.", "text_encoder"],
  ["cond_stage_model.transformer.", "text_encoder"],
  ["model.diffusion_model.", "unet"],
];

/** Files of PEFT and some others do not say which network they change: it is the first that has the module. */
export const PEFT_PREFIX = /^base_model\.model\./;

/**
 * diffusers' first form: `….attn1.processor.to_q_lora.down.weight`; in text encoders
 * `….self_attn.to_q_lora.down.weight`.
 */
const PROCESSOR = /\.(?:processor\.)?to_(q|k|v|out)_lora\.(down|up)\.weight$/;

/**
 * Module names by their path with underscores in place of dots, as kohya's scripts write it. Made once for each
 * network.
 */
export class LoraModules {
  readonly #byPath = new Map<string, string>();
  readonly #parameters: ReadonlySet<string>;

  constructor(model: object) {
    this.#parameters = new Set(new Map(namedParameters(model)).keys());
    const layout = unetLayout(model);
    for (const name of this.#parameters) {
      if (!name.endsWith(".weight")) continue;
      this.#add(name, name);
      // transformers 5 leaves the prefix out in a single text tower.
      if (name.startsWith("text_model.")) this.#add(name.slice("text_model.".length), name);
      // Files for SDXL use the names of the single file.
      if (layout) this.#addLdm(name, layout);
    }
  }

  #add(path: string, weight: string): void {
    this.#byPath.set(path.slice(0, -".weight".length).replaceAll(".", "_"), weight.slice(0, -".weight".length));
  }

  #addLdm(name: string, layout: UnetLayout): void {
    try {
      this.#add(ldmUnetName(name, layout), name);
    } catch {
      // Blocks that the original code did not have have no second name.
    }
  }

  /** The weight or bias of a module, for a path with dots or underscores. */
  parameter(path: string, of: Ending["of"] = "weight"): string | undefined {
    const name = `${this.#byPath.get(path.replaceAll(".", "_"))}.${of}`;
    return this.#parameters.has(name) ? name : undefined;
  }
}

/** The blocks of a network whose config describes those of a UNet. */
function unetLayout(model: object): UnetLayout | undefined {
  const { layers_per_block, up_block_types } = (model as { config?: Partial<UnetLayout> }).config ?? {};
  return layers_per_block && up_block_types ? { layers_per_block, up_block_types } : undefined;
}

/**
 * Parses a name of a LoRA file in any known form (see docs/models.md). Undefined for other names, and if the network is
 * missing or has no such module.
 */
export function loraTensor(stored: string, modules: ReadonlyMap<LoraPart, LoraModules>): LoraTensor | undefined {
  const { path, ending } = pathAndEnding(stored);
  if (!ending) return undefined;
  const { parts, module } = partsAndModule(path);
  for (const part of parts) {
    const parameter = modules.get(part)?.parameter(module, ending.of);
    if (parameter !== undefined) return { part, parameter, role: ending.role };
  }
  return undefined;
}

/** The networks that a path can belong to, and the module in them. */
export function partsAndModule(path: string): { parts: readonly LoraPart[]; module: string } {
  const bare = path.replace(PEFT_PREFIX, "");
  const named = PREFIXES.find(([prefix]) => bare.startsWith(prefix));
  return named ? { parts: [named[1]], module: bare.slice(named[0].length) } : { parts: LORA_PARTS, module: bare };
}

/** Splits a stored name into the path of a module and the ending. */
export function pathAndEnding(stored: string): { path: string; ending: Ending | undefined } {
  const inside = PROCESSOR.exec(stored);
  if (inside) {
    const [end, which, role] = inside as unknown as [string, "q" | "k" | "v" | "out", "down" | "up"];
    const inText = stored.includes(".self_attn.");
    const module = inText ? `${which}_proj` : which === "out" ? "to_out.0" : `to_${which}`;
    const path = `${stored.slice(0, -end.length)}.${module}`;
    return { path, ending: { pattern: PROCESSOR, role, of: "weight" } };
  }
  const ending = endingOf(stored);
  return { path: ending ? stored.replace(ending.pattern, "") : stored, ending };
}
