import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { captionWords } from "../../../datasets/faces/vocabulary.js";
import { captionWords as portraitWords } from "../../../datasets/portraits-2/words.js";
import { packagePath } from "../../package-folder.js";

/** A trained model that comes with this repository. */
export interface ShippedModel {
  /** Every word of the captions that it was trained on. */
  words: () => string[];
  /** The guidance that suits it, and the steps that are enough: the tables of its page in the docs. */
  guidance: number;
  steps: number;
  /** What is drawn when nothing is asked for. */
  examples: readonly string[];
}

/** The models that come with this repository, by their names on the command line; the first is the default. */
export const SHIPPED = {
  portraits: {
    words: () => portraitWords(),
    guidance: 3,
    steps: 10,
    examples: [
      "a smiling woman with long blonde hair and a striped red shirt on a gradient blue background",
      "a bald man with a beard and sunglasses on a dotted yellow background",
      "a surprised face with pink pigtails and round glasses on a plain white background",
      "a frowning man with a green mohawk and a checkered black shirt",
      "a happy person wearing a blue baseball cap and a white shirt on a striped orange wall",
      "a dark face with curly ginger hair and a striped purple sweater",
    ],
  },
  faces: {
    words: () => captionWords(),
    guidance: 3,
    steps: 20,
    examples: [
      "a smiling woman with long blonde hair and a red shirt on a blue background",
      "a bald man with a beard and sunglasses on a yellow background",
      "a surprised face with pink pigtails and round glasses",
      "a frowning man with a green mohawk and a striped black shirt",
      "a happy person wearing a blue baseball cap and a white shirt on an orange wall",
      "a dark face with curly ginger hair and a checkered purple sweater",
    ],
  },
} as const satisfies Record<string, ShippedModel>;

/** The name of a model that comes with this repository. */
export type ShippedName = keyof typeof SHIPPED;

export const SHIPPED_NAMES = Object.keys(SHIPPED) as ShippedName[];

/** LoRAs of the portraits that come with this repository. */
export const SHIPPED_LORAS = ["few-steps", "sepia", "zwx"] as const;

/** The folder of a model that comes with this repository; where the command is installed, its npm package. */
export function shippedFolder(name: ShippedName): string {
  const here = packagePath("weights", name);
  if (existsSync(here)) return here;
  return dirname(createRequire(import.meta.url).resolve(`@tfjs-diffusion/${name}/package.json`));
}

/** The folder of the shipped model that `text` names; undefined if there is no such model. */
export function shippedModel(text: string): string | undefined {
  return SHIPPED_NAMES.includes(text as ShippedName) ? shippedFolder(text as ShippedName) : undefined;
}

/** The folder of a LoRA that comes with this repository, by its name; undefined if it names none. */
export function shippedLora(text: string): string | undefined {
  return SHIPPED_LORAS.includes(text as (typeof SHIPPED_LORAS)[number])
    ? packagePath("weights", "portraits-loras", text)
    : undefined;
}
