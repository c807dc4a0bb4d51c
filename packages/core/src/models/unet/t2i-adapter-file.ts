import { WeightsFormatError } from "../../weights/errors.js";
import type { SafetensorsFile } from "../../weights/safetensors.js";
import type { T2IAdapterConfig } from "./t2i-adapter.js";

/** Channels of the picture, and pixels along a side that become channels, by the channels of the first layer. */
const PICTURES: Readonly<Record<number, Pick<T2IAdapterConfig, "in_channels" | "downscale_factor">>> = {
  64: { in_channels: 1, downscale_factor: 8 },
  192: { in_channels: 3, downscale_factor: 8 },
  256: { in_channels: 1, downscale_factor: 16 },
  768: { in_channels: 3, downscale_factor: 16 },
};

/**
 * The config of a T2I-Adapter, from the names and shapes of its tensors: with the names of diffusers, or those of its
 * first code, which numbers the blocks of a full adapter through all levels.
 *
 * @throws WeightsFormatError if the first layer reads another number of channels than the published adapters
 */
export function t2iAdapterConfig({ name, tensors }: SafetensorsFile, prefix: string): Partial<T2IAdapterConfig> {
  const names = [...tensors.keys()].filter((stored) => stored.startsWith(prefix));
  const shape = (stored: string): readonly number[] => tensors.get(stored)?.shape ?? [];
  const pixels = t2iAdapterPixels({ tensors }, prefix);
  const picture = PICTURES[pixels];
  if (!picture) {
    throw new WeightsFormatError(
      `${name}: a T2I-Adapter whose first layer reads ${pixels} channels; the published ones read ` +
        `${Object.keys(PICTURES).join(", ")}. Give its config.json as { config: the folder }.`,
    );
  }
  const inside = (pattern: RegExp) => names.filter((stored) => pattern.test(stored));
  const isLight = inside(/conv_in\.weight$/).length === 0;
  const ends = isLight ? inside(/body\.\d+\.out_conv\.weight$/) : inside(/body\.\d+\.(resnets\.0\.)?block1\.weight$/);
  const widths = ends.sort((a, b) => numberIn(a) - numberIn(b)).map((stored) => shape(stored)[0]!);
  const ofLevel = inside(/body\.0\.(resnets|body)\.\d+\.block1\.weight$/).length;
  if (isLight)
    return {
      _class_name: "T2IAdapter",
      ...picture,
      channels: widths.slice(0, -1),
      num_res_blocks: ofLevel,
      adapter_type: "light_adapter",
    };
  const first = inside(/^body\.\d+\.in_conv\.weight$/).map(numberIn);
  const num_res_blocks = ofLevel || (first.length > 0 ? Math.min(...first) : 2);
  const channels = ofLevel ? widths : widths.filter((_, i) => i % num_res_blocks === 0);
  const adapter_type = picture.downscale_factor === 16 ? "full_adapter_xl" : "full_adapter";
  return { _class_name: "T2IAdapter", ...picture, channels, num_res_blocks, adapter_type };
}

/** How many channels its first layer reads. */
export function t2iAdapterPixels({ tensors }: Pick<SafetensorsFile, "tensors">, prefix: string): number {
  const firsts = ["adapter.conv_in", "conv_in", "adapter.body.0.in_conv", "body.0.in_conv"];
  const first = firsts.map((stored) => tensors.get(`${prefix}${stored}.weight`)).find((info) => info !== undefined);
  return first?.shape[1] ?? 0;
}

function numberIn(stored: string): number {
  return Number(/body\.(\d+)\./.exec(stored)![1]);
}

/** The name in the first code of a parameter of diffusers. */
export function firstT2IAdapterName(
  name: string,
  { adapter_type, num_res_blocks }: Pick<T2IAdapterConfig, "adapter_type" | "num_res_blocks">,
): string {
  const bare = name.replace(/^adapter\./, "");
  if (adapter_type === "light_adapter") return bare.replace(".resnets.", ".body.");
  return bare.replace(
    /^body\.(\d+)\.(?:resnets\.(\d+)\.)?/,
    (_, level: string, block = "0") => `body.${Number(level) * num_res_blocks + Number(block)}.`,
  );
}
