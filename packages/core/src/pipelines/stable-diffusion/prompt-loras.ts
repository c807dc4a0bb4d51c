import type { LoraSet } from "../../adapters/lora.js";
import { partsOf } from "../../adapters/lora-models.js";
import type { LoraScale } from "../../adapters/lora-scale.js";
import { type LoraTag, loraTags } from "../../text/lora-tags.js";
import { promptSections } from "../../text/prompt-weights.js";
import type { BytesFrom } from "../../weights/open-bytes.js";
import { PipelineOptionError } from "../options/errors.js";

/** Finds a LoRA by its name in a prompt: its file, folder or name on the hub; undefined if there is none. */
export type LoraResolver = (name: string) => BytesFrom | undefined | Promise<BytesFrom | undefined>;

/**
 * The prompts without their LoRA tags, and the LoRAs. All prompts are drawn with the same networks, so all must name
 * the same LoRAs.
 *
 * @throws PipelineOptionError for tags that cannot be read or differ between prompts
 */
export function takeLoras(prompts: readonly string[]): { prompts: string[]; loras: LoraTag[] } {
  const read = prompts.map((prompt) => readTags("prompt", prompt));
  const { loras } = read[0]!;
  const other = read.find((each) => JSON.stringify(each.loras) !== JSON.stringify(loras));
  if (other) {
    throw new PipelineOptionError(
      `prompt: one of the prompts names the LoRAs ${shown(loras)}, another ${shown(other.loras)}. The pictures of a ` +
        "batch are drawn with the same networks; name the same LoRAs in all prompts, or draw them one by one.",
    );
  }
  const names = loras.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new PipelineOptionError(`prompt: names the LoRA ${twice} twice; name it once.`);
  return { prompts: read.map(({ rest }) => rest), loras };
}

/** @throws PipelineOptionError for a LoRA tag in texts where it would not be used */
export function requireNoTags(option: string, given: readonly string[]): void {
  for (const text of given) {
    const { loras } = readTags(option, text);
    if (loras.length === 0) continue;
    throw new PipelineOptionError(`${option}: names the LoRA ${shown(loras)}; only a prompt can name LoRAs.`);
  }
}

/** @throws PipelineOptionError for a LoRA that is not loaded and cannot be found without a resolver */
export function requireLoraSources(tags: readonly LoraTag[], set: LoraSet, resolver: LoraResolver | undefined): void {
  const missing = resolver ? [] : tags.filter(({ name }) => !Object.hasOwn(set.scales, name));
  if (missing.length === 0) return;
  throw new PipelineOptionError(
    `prompt: names the LoRA ${shown(missing)}, which is not loaded. Give loraResolver, a function that returns the ` +
      "file for a name, or load it under that name with pipeline.loras.load.",
  );
}

/**
 * Adds the LoRAs to the networks at their scales; one that is loaded already gets the new scale.
 *
 * @returns a function that undoes this
 * @throws PipelineOptionError if the resolver finds no LoRA; the errors of `LoraSet.load`
 */
export async function usePromptLoras(
  set: LoraSet,
  tags: readonly LoraTag[],
  resolver: LoraResolver | undefined,
): Promise<() => void> {
  const steps: (() => void)[] = [];
  const undo = () => {
    for (const step of steps.reverse()) step();
  };
  try {
    for (const tag of tags) {
      const { name } = tag;
      const [scale, before] = [scaleIn(set, tag), set.scales[name]];
      if (before !== undefined) {
        set.setScale(name, scale);
        steps.push(() => set.setScale(name, before));
        continue;
      }
      const source = await resolver?.(name);
      if (source === undefined) throw new PipelineOptionError(`loraResolver: found no LoRA with the name ${name}.`);
      await set.load(source, { name, scale });
      steps.push(() => set.unload(name));
    }
    return undo;
  } catch (error) {
    undo();
    throw error;
  }
}

function scaleIn(set: LoraSet, { scale, unetScale }: LoraTag): LoraScale {
  if (unetScale === undefined) return scale;
  return Object.fromEntries(partsOf(set.models).map(([part]) => [part, part === "unet" ? unetScale : scale]));
}

/** Also parses the weights, to refuse wrong ones before any work. */
function readTags(option: string, text: string): ReturnType<typeof loraTags> {
  try {
    const tags = loraTags(text);
    promptSections(tags.rest);
    return tags;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PipelineOptionError(`${option}: ${error.message}`, { cause: error });
  }
}

function shown(tags: readonly LoraTag[]): string {
  return tags.map(({ name }) => name).join(", ") || "(none)";
}
