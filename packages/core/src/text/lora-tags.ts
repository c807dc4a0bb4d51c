/** A LoRA that a prompt names: `<lora:name:scale>`. */
export interface LoraTag {
  name: string;
  /** The scale of the text encoders, and of the UNet unless `unetScale` is given. Default 1. */
  scale: number;
  /** The scale of the UNet, if the tag has one: `<lora:name:0.5:0.8>` or `<lora:name:unet=0.8>`. */
  unetScale?: number;
}

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu;
const LORA_KINDS = ["lora", "lyco"];

/**
 * Takes the LoRA tags out of a prompt, in the syntax of AUTOMATIC1111's web UI: `<lora:name>`, `<lora:name:0.8>`,
 * `<lora:name:0.8:0.5>` with scales for the text encoders and for the UNet, also written `te=0.8` and `unet=0.5`;
 * `lyco` means the same as `lora`.
 *
 * @returns the tags, and the text without them
 * @throws RangeError for tags of another kind, such as `<hypernet:…>`, and for scales that are not numbers
 */
export function loraTags(prompt: string): { loras: LoraTag[]; rest: string } {
  const loras: LoraTag[] = [];
  const rest = prompt.replaceAll(TAG, (tag, kind: string, items: string) => {
    if (!LORA_KINDS.includes(kind)) {
      throw new RangeError(
        `${tag} names a ${kind}, which cannot be used; a prompt can name LoRAs, as <lora:name:scale>. ` +
          "For the text itself, write it without the colon.",
      );
    }
    loras.push(readTag(tag, items.split(":")));
    return "";
  });
  return { loras, rest };
}

function readTag(tag: string, items: readonly string[]): LoraTag {
  const named = new Map(
    items.filter((item) => item.includes("=")).map((item) => item.split("=", 2) as [string, string]),
  );
  const [name, te, unet, ...more] = items.filter((item) => !item.includes("="));
  const unknown = [...[...named.keys()].filter((key) => key !== "te" && key !== "unet"), ...more];
  if (name === undefined || name.trim() === "" || unknown.length > 0) {
    const what = unknown.length > 0 ? `has ${unknown.join(", ")}, which is unknown` : "has no name";
    throw new RangeError(`${tag} ${what}; write <lora:name>, <lora:name:scale> or <lora:name:te=0.8:unet=0.5>.`);
  }
  const scale = toScale(tag, named.get("te") ?? te ?? "1");
  const unetText = named.get("unet") ?? unet;
  return unetText === undefined ? { name, scale } : { name, scale, unetScale: toScale(tag, unetText) };
}

function toScale(tag: string, text: string): number {
  const scale = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(scale)) return scale;
  throw new RangeError(
    `${tag}: the scale ${JSON.stringify(text)} is not a number; write one, such as <lora:name:0.8>.`,
  );
}
