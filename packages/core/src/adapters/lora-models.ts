/** The networks that a LoRA can change, by the names of a diffusers folder. */
export const LORA_PARTS = ["unet", "text_encoder", "text_encoder_2"] as const;
/** One of these networks. */
export type LoraPart = (typeof LORA_PARTS)[number];

/** The networks that LoRAs are added to: objects with parameters, such as a Model. */
export type LoraModels = Partial<Record<LoraPart, object>>;

/** The networks that are present, with the names of their parts. */
export function partsOf(models: LoraModels): [LoraPart, object][] {
  return (Object.entries(models) as [LoraPart, object | undefined][]).filter(
    (entry): entry is [LoraPart, object] => entry[1] !== undefined,
  );
}
