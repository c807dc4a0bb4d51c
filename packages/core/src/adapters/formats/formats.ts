import { MAGNITUDE_ENDINGS } from "./dora.js";
import type { Ending, LoraFormat } from "./format.js";
import { FULL_DIFFERENCE } from "./full-difference.js";
import { LOHA } from "./loha.js";
import { LOKR } from "./lokr.js";
import { LORA } from "./lora.js";

/** All formats that are read; with {@link MAGNITUDE_ENDINGS} the first three become DoRA. */
export const LORA_FORMATS: readonly LoraFormat[] = [LORA, LOHA, LOKR, FULL_DIFFERENCE];

const ENDINGS: readonly Ending[] = [
  ...LORA_FORMATS.flatMap(({ endings }) => endings),
  ...MAGNITUDE_ENDINGS,
  { pattern: /\.alpha$/, role: "alpha", of: "weight" },
];

/** The ending of a stored name; undefined if no format has it. */
export function endingOf(stored: string): Ending | undefined {
  return ENDINGS.find(({ pattern }) => pattern.test(stored));
}

/** The formats that have one of these roles. */
export function formatsOf(roles: readonly string[]): LoraFormat[] {
  return LORA_FORMATS.filter(({ endings }) => endings.some(({ role }) => roles.includes(role)));
}

/** Endings of methods that are not supported, from the same programs. */
const OTHER_METHODS: readonly (readonly [RegExp, string])[] = [
  [/\.(?:oft_\w+|oft_diag)(?:\.weight)?$/, "OFT"],
  [/\.(?:a[12]|b[12])\.weight$/, "GLoRA"],
  [/\.on_input$|\.ia3_l$/, "(IA)^3"],
  [/\.(?:lora_B(?:\.\w+)?|lora_up)\.bias$/, "LoRA with its own bias"],
  [/\.lora_embedding_[AB]\b/, "LoRA of an embedding"],
  [/\.set_weight$|\.reshape_weight$/, "a replaced weight"],
];

/** The method that a tensor belongs to, if it is one that is not supported. */
export function otherMethod(stored: string): string | undefined {
  return OTHER_METHODS.find(([ending]) => ending.test(stored))?.[1];
}
