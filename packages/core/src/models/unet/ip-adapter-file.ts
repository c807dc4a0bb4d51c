import { WeightsFormatError } from "../../weights/errors.js";
import type { SafetensorsFile } from "../../weights/safetensors.js";
import type { IPAdapterConfig } from "./ip-adapter.js";

/** A file of an IP-Adapter: what kind it is, and its config, which is not read for kinds that are not supported. */
export interface IPAdapterFile {
  /** The name that the published files have: "IP-Adapter", "IP-Adapter Plus", … */
  kind: string;
  config?: Partial<IPAdapterConfig>;
}

/** Reads the kind and the sizes of an IP-Adapter off the names and shapes of its tensors. */
export function ipAdapterFile({ tensors }: Pick<SafetensorsFile, "tensors">, prefix: string): IPAdapterFile {
  const shape = (name: string): readonly number[] => tensors.get(prefix + name)?.shape ?? [];
  const has = (name: string) => tensors.has(prefix + name);
  if (has("image_proj.perceiver_resampler.proj_in.weight")) return { kind: "IP-Adapter FaceID Plus" };
  if (has("image_proj.norm.weight") && has("image_proj.proj.0.weight")) return { kind: "IP-Adapter FaceID" };
  const [, cross_attention_dim = 0] = shape("ip_adapter.1.to_k_ip.weight");
  const common = { _class_name: "IPAdapter" as const, cross_attention_dim, attention_widths: attentionWidths() };
  if (has("image_proj.proj.weight")) {
    const [tokens = 0, image_embed_dim] = shape("image_proj.proj.weight");
    const num_image_text_embeds = tokens / cross_attention_dim;
    return {
      kind: "IP-Adapter",
      config: { ...common, image_proj_type: "linear", image_embed_dim, num_image_text_embeds },
    };
  }
  if (has("image_proj.proj.3.weight")) {
    const [, image_embed_dim] = shape("image_proj.proj.0.weight");
    return { kind: "IP-Adapter Full", config: { ...common, image_proj_type: "full", image_embed_dim } };
  }
  if (has("image_proj.latents")) {
    const [, num_image_text_embeds] = shape("image_proj.latents");
    const [hidden_dim, image_embed_dim] = shape("image_proj.proj_in.weight");
    const [inner = 0] = shape("image_proj.layers.0.0.to_q.weight");
    const layers = [...tensors.keys()].filter((name) => /image_proj\.layers\.\d+\.0\.to_q\.weight$/.test(name));
    const sizes = {
      num_image_text_embeds,
      hidden_dim,
      image_embed_dim,
      num_layers: layers.length,
      num_heads: inner / 64,
    };
    return { kind: "IP-Adapter Plus", config: { ...common, image_proj_type: "resampler", ...sizes } };
  }
  return { kind: "IP-Adapter of an unknown kind" };

  function attentionWidths(): number[] {
    const widths: number[] = [];
    while (has(`ip_adapter.${2 * widths.length + 1}.to_k_ip.weight`))
      widths.push(shape(`ip_adapter.${2 * widths.length + 1}.to_k_ip.weight`)[0] ?? 0);
    return widths;
  }
}

/** @throws WeightsFormatError for a kind that is not supported */
export function ipAdapterConfig(file: SafetensorsFile, prefix: string): Record<string, unknown> {
  const { kind, config } = ipAdapterFile(file, prefix);
  if (config) return { ...config };
  throw new WeightsFormatError(
    `${file.name}: an ${kind}, which is not supported. Take an IP-Adapter, IP-Adapter Plus or IP-Adapter Full, such as ` +
      "ip-adapter_sd15.safetensors of h94/IP-Adapter.",
  );
}
