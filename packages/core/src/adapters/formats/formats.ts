import { MAGNITUDE_ENDINGS } from "./dora.js";
import type { Ending, LoraFormat } from "./format.js";
import { FULL_DIFFERENCE } from "./full-difference.js";
import { LOHA } from "./loha.js";
import { LOKR } from "./lokr.js";
import { LORA } from "./lora.js";

/** Every way of writing a change that is read; {@link MAGNITUDE_ENDINGS} make a DoRA of the first three. */
export const LORA_FORMATS: readonly LoraFormat[] = [LORA, LOHA, LOKR, FULL_DIFFERENCE];

const ENDINGS: readonly Ending[] = [
  ...LORA_FORMATS.flatMap(({ endings }) => endings),
  ...MAGNITUDE_ENDINGS,
  { pattern: /\.alpha$/, role: "alpha", of: "weight" },
];

/** What the end of a stored name says; undefined for none of the formats. */
export function endingOf(stored: string): Ending | undefined {
  return ENDINGS.find(({ pattern }) => pattern.test(stored));
}

/** The formats that have a tensor of one of these roles. */
export function formatsOf(roles: readonly string[]): LoraFormat[] {
  return LORA_FORMATS.filter(({ endings }) => endings.some(({ role }) => roles.includes(role)));
}

/** How the ends of names show methods that are not read, in files that come from the same programs. */
const OTHER_METHODS: readonly (readonly [RegExp, string])[] = [
  [/\.(?:oft_\w+|oft_diag)(?:\.weight)?$/, "OFT"],
  [/\.(?:a[12]|b[12])\.weight$/, "GLoRA"],
  [/\.on_input$|\.ia3_l$/, "(IA)^3"],
  [/\.(?:lora_B(?:\.\w+)?|lora_up)\.bias$/, "LoRA with a bias of its own"],
  [/\.lora_embedding_[AB]\b/, "LoRA of an embedding"],
  [/\.set_weight$|\.reshape_weight$/, "a weight in place of another"],
];

/** The method that a tensor belongs to, where it is one that is not read. */
export function otherMethod(stored: string): string | undefined {
  return OTHER_METHODS.find(([ending]) => ending.test(stored))?.[1];
}
