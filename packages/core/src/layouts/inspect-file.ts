import type { SafetensorsFile } from "../weights/safetensors.js";
import type { TensorInfo } from "../weights/safetensors-header.js";
import { contextWidth, type NetworkInFile, networksIn } from "../models/network-file.js";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { ipAdapterFile } from "../models/unet/ip-adapter-file.js";
import { type CheckpointFamily, familyOfWidth, PUBLISHED } from "../models/published-configs.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { drawingEstimate } from "./drawing-estimate.js";
import { checkpointFamily, FAMILIES, UNET_PREFIX, VAE_PREFIXES } from "./families.js";
import { isLora, loraReport } from "./inspect-lora.js";
import type { CheckpointPart, CheckpointReport } from "./checkpoint-report.js";
import { pictureSizeOf, predictionOf } from "./prediction.js";
import { totalsOf } from "./tensor-totals.js";

const EMBEDDING = /^(emb_params|clip_[lg]|<.*>|string_to_param.*|[^.]+)$/;

/** Inspects one safetensors file, by the names of its tensors. Borrows the file. */
export async function inspectFile(file: SafetensorsFile): Promise<CheckpointReport> {
  const names = [...file.tensors.keys()];
  const [network] = networksIn(file);
  // Some IP-Adapters have a LoRA in them.
  if (isLora(names) && network?.part !== "ip_adapter") return loraReport(file);
  if (names.some((name) => name.startsWith(UNET_PREFIX))) return singleFileReport(file);
  const whole = totalsOf(file.tensors.values());
  if (network) {
    const { part, className, family } = network;
    return { kind: "network", family, parts: [{ name: part, className, ...whole }], notes: notesOf(file, network) };
  }
  const isEmbedding = (name: string) => EMBEDDING.test(name) && file.tensors.get(name)!.shape.length <= 2;
  if (names.length > 0 && names.length <= 4 && names.every(isEmbedding)) return embeddingReport(file);
  return {
    kind: "unknown",
    parts: [{ name: "other", ...whole }],
    notes: [`Tensors such as ${names.slice(0, 3).join(", ")}.`],
  };
}

async function singleFileReport(file: SafetensorsFile): Promise<CheckpointReport> {
  const family = familyOrNone(file);
  const prefixes: [name: string, prefix: string][] = [
    ["unet", UNET_PREFIX],
    ...VAE_PREFIXES.map((prefix): [string, string] => ["vae", prefix]),
    ...Object.entries(family ? FAMILIES[family].textEncoders : {}).map(([name, { prefix }]): [string, string] => [
      name,
      prefix,
    ]),
    ["unet (averaged)", "model_ema."],
  ];
  const groups = new Map<string, TensorInfo[]>();
  for (const [stored, info] of file.tensors) {
    const name = prefixes.find(([, prefix]) => stored.startsWith(prefix))?.[0] ?? "other";
    const group = groups.get(name);
    if (group) group.push(info);
    else groups.set(name, [info]);
  }
  const parts = [...groups].map(([name, infos]): CheckpointPart => ({ name, ...totalsOf(infos) }));
  const notes: string[] = [];
  if (groups.has("unet (averaged)")) notes.push("It also holds averaged weights of the UNet.");
  if (!groups.has("vae")) notes.push("It has no autoencoder.");
  if (!family) notes.push("It has no text encoder of a known family.");
  const inChannels = file.tensors.get(`${UNET_PREFIX}input_blocks.0.0.weight`)?.shape[1];
  const prediction = family && (await predictionOf(file, family));
  const pictureSize = family && pictureSizeOf(family, prediction!.type);
  const drawing = family && drawingEstimate(drawingNetworks(family), LATENT_FACTOR, pictureSize);
  return { kind: "single file", family, parts, prediction, pictureSize, inChannels, drawing, notes };
}

/** Pixels per latent along each side, in all of these families. */
const LATENT_FACTOR = 8;

/** The networks that draw, by their published configs; without weights. */
function drawingNetworks(family: CheckpointFamily): Map<string, object> {
  const { unet, vae } = PUBLISHED[family];
  return new Map<string, object>([
    ["unet", new UNet2DConditionModel(unet)],
    ["vae", new AutoencoderKL(vae)],
  ]);
}

function familyOrNone(file: SafetensorsFile): CheckpointFamily | undefined {
  try {
    return checkpointFamily(file);
  } catch {
    return familyOfWidth(contextWidth(file.tensors));
  }
}

function notesOf(file: SafetensorsFile, { part, className, names, prefix }: NetworkInFile): string[] {
  if (part === "ip_adapter") return ipAdapterNotes(file, prefix);
  const layouts = { ldm: "latent diffusion's first code", openclip: "OpenCLIP", bare: "transformers", own: "" };
  return [
    ...(names === "own" || names === "bare" ? [] : [`Its names are those of ${layouts[names]}.`]),
    ...(part === "vae" && className === "AutoencoderKL"
      ? [
          "Autoencoders of Stable Diffusion 1, 2 and XL have the same names and shapes: a file does not tell which it is.",
        ]
      : []),
  ];
}

function ipAdapterNotes(file: SafetensorsFile, prefix: string): string[] {
  const { kind, config } = ipAdapterFile(file, prefix);
  if (!config) return [`An ${kind}, which is not read here.`];
  const { image_proj_type, image_embed_dim, num_image_text_embeds, attention_widths = [] } = config;
  const tokens = num_image_text_embeds === undefined ? "a token for each state" : `${num_image_text_embeds} tokens`;
  const width = image_proj_type === "linear" ? "projection_dim" : "hidden_size";
  return [
    `An ${kind}: it gives ${attention_widths.length} layers of a UNet ${tokens} of a picture.`,
    `It needs an image encoder whose ${width} is ${image_embed_dim}.`,
  ];
}

function embeddingReport({ tensors }: SafetensorsFile): CheckpointReport {
  const parts = [...tensors].map(([name, info]): CheckpointPart => ({ name, ...totalsOf([info]) }));
  const described = [...tensors].map(([name, { shape }]) => {
    const [vectors, width] = shape.length === 1 ? [1, shape[0]] : shape;
    return `${name}: ${vectors} vector${vectors === 1 ? "" : "s"} of ${width} numbers.`;
  });
  const widths = new Set([...tensors.values()].map(({ shape }) => shape.at(-1)));
  const family = widths.has(1280) ? "sdxl" : familyOfWidth([...widths][0]);
  return { kind: "textual inversion", family, parts, notes: described };
}
