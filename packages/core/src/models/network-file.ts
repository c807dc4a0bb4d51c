import { fileExists, isAddress, joinPath, localPath } from "../platform/files.js";
import { warn } from "../platform/warn.js";
import { WeightsFormatError } from "../weights/errors.js";
import { readConfig } from "../weights/model-folder.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import { libraryAndClass } from "./library-and-class.js";
import type { Model } from "./model.js";
import { type CheckpointFamily, familyOfWidth, PUBLISHED } from "./published-configs.js";
import {
  isTextBuffer,
  type StoredNames,
  storedPiece,
  type StoredView,
  storedView,
  VAE_TRAINING,
} from "./stored-names.js";
import { controlNetConfigFor } from "./unet/controlnet-config.js";
import { ipAdapterConfig } from "./unet/ip-adapter-file.js";
import { t2iAdapterConfig, t2iAdapterPixels } from "./unet/t2i-adapter-file.js";

/** The network in a file, recognized by the names and shapes of its tensors. */
export interface NetworkInFile {
  /** The name of its folder in a pipeline. */
  part: "unet" | "vae" | "text_encoder" | "text_encoder_2" | "controlnet" | "ip_adapter" | "adapter";
  /** The class that these names belong to, if there is no config. */
  className: string;
  /** The prefix of its names in this file. */
  prefix: string;
  names: StoredNames;
  /** The published family whose sizes it has; unknown for an autoencoder, whose names and shapes do not show it. */
  family?: CheckpointFamily;
}

const T2I_ADAPTER = { part: "adapter", className: "T2IAdapter", names: "own" } as const;

/** A name that only one kind of network has, after the prefix, which is the first group. */
const KINDS: readonly [RegExp, Pick<NetworkInFile, "part" | "className" | "names">][] = [
  [
    /^(.*)controlnet_cond_embedding\.conv_in\.weight$/,
    { part: "controlnet", className: "ControlNetModel", names: "own" },
  ],
  [/^(.*)ip_adapter\.1\.to_k_ip\.weight$/, { part: "ip_adapter", className: "IPAdapter", names: "own" }],
  [/^((?:.*\.)?)adapter\.body\.0\.resnets\.0\.block1\.weight$/, T2I_ADAPTER],
  [/^()body\.0\.(?:body\.0\.)?block1\.weight$/, { ...T2I_ADAPTER, names: "ldm" }],
  [/^(.*)input_hint_block\.0\.weight$/, { part: "controlnet", className: "ControlNetModel", names: "ldm" }],
  [
    /^((?!.*decoder\.).*)up_blocks\.0\.resnets\.0\.conv1\.weight$/,
    { part: "unet", className: "UNet2DConditionModel", names: "own" },
  ],
  [
    /^(.*)output_blocks\.0\.0\.in_layers\.0\.weight$/,
    { part: "unet", className: "UNet2DConditionModel", names: "ldm" },
  ],
  [/^(.*)decoder\.mid_block\.resnets\.0\.conv1\.weight$/, { part: "vae", className: "AutoencoderKL", names: "own" }],
  [/^(.*)decoder\.mid\.block_1\.conv1\.weight$/, { part: "vae", className: "AutoencoderKL", names: "ldm" }],
  [/^(.*)decoder\.layers\.0\.weight$/, { part: "vae", className: "AutoencoderTiny", names: "own" }],
  [
    /^(.*)text_model\.embeddings\.token_embedding\.weight$/,
    { part: "text_encoder", className: "CLIPTextModel", names: "own" },
  ],
  [
    /^((?!.*text_model\.).*?)embeddings\.token_embedding\.weight$/,
    { part: "text_encoder", className: "CLIPTextModel", names: "bare" },
  ],
  [
    /^((?!.*visual\.).*)transformer\.resblocks\.0\.attn\.in_proj_weight$/,
    { part: "text_encoder", className: "CLIPTextModel", names: "openclip" },
  ],
];

/** The networks in a file, each with its prefix. */
export function networksIn({ tensors }: Pick<SafetensorsFile, "tensors">): NetworkInFile[] {
  const found: NetworkInFile[] = [];
  for (const [pattern, kind] of KINDS) {
    for (const name of tensors.keys()) {
      const prefix = pattern.exec(name)?.[1];
      if (prefix === undefined || found.some((other) => other.prefix === prefix && other.part === kind.part)) continue;
      found.push(described(tensors, { ...kind, prefix }));
    }
  }
  return found;
}

function described(tensors: SafetensorsFile["tensors"], network: NetworkInFile): NetworkInFile {
  const { part, prefix, names } = network;
  if (part === "text_encoder") {
    const width = textWidth(tensors, prefix);
    // Of the OpenCLIP towers, those of XL project, but 2's does not.
    const isOfXL = width === OPENCLIP_G_WIDTH || (names === "openclip" && prefix.startsWith("conditioner."));
    const projects = tensors.has(`${prefix}text_projection.weight`) || isOfXL;
    return {
      ...network,
      part: isOfXL ? "text_encoder_2" : part,
      family: ENCODER_FAMILIES[width],
      className: projects ? "CLIPTextModelWithProjection" : network.className,
    };
  }
  if (part === "vae") return network;
  if (part === "adapter") return { ...network, family: t2iAdapterPixels({ tensors }, prefix) >= 256 ? "sdxl" : "sd1" };
  if (part === "ip_adapter")
    return { ...network, family: familyOfWidth(tensors.get(`${prefix}ip_adapter.1.to_k_ip.weight`)?.shape[1]) };
  return { ...network, family: familyOfWidth(contextWidth(tensors, prefix)) };
}

function textWidth(tensors: SafetensorsFile["tensors"], prefix: string): number {
  for (const [name, { shape }] of tensors)
    if (name.startsWith(prefix) && /token_embedding\.weight$/.test(name)) return shape[1] ?? 0;
  return 0;
}

const OPENCLIP_G_WIDTH = 1280;
/** The families by the width of their text encoders; the first with that encoder. */
const ENCODER_FAMILIES: Readonly<Record<number, CheckpointFamily>> = {
  768: "sd1",
  1024: "sd2",
  [OPENCLIP_G_WIDTH]: "sdxl",
};

/** Width of the text states that a UNet or ControlNet reads, from its first key projection of cross-attention. */
export function contextWidth(tensors: SafetensorsFile["tensors"], prefix = ""): number | undefined {
  for (const [name, { shape }] of tensors)
    if (name.startsWith(prefix) && /attn2[._]to_k\.weight$/.test(name)) return shape[1];
  return undefined;
}

/**
 * The one network of a file.
 *
 * @param part which of several networks to use: the name of its folder in a pipeline
 * @throws WeightsFormatError if there is none, or if there are several and `part` names none of them
 */
export function networkIn(file: SafetensorsFile, part: string): NetworkInFile {
  const found = networksIn(file);
  const wanted = part === "" ? found : found.filter((network) => network.part === part);
  if (wanted.length === 1) return wanted[0]!;
  const parts = [...new Set(found.map((network) => network.part))].join(", ");
  const [first] = found;
  if (first === undefined) {
    const some = [...file.tensors.keys()].slice(0, 3).join(", ");
    throw new WeightsFormatError(
      `${file.name}: of no network that is known by its names, which are such as ${some}. ` +
        "Give the folder with its config.json.",
    );
  }
  throw new WeightsFormatError(
    wanted.length > 1
      ? `${file.name}: holds ${wanted.length} networks (${parts}). Open it with openPipeline, or take one: { subfolder: "${first.part}" }.`
      : `${file.name}: holds no ${part}, but ${parts}.`,
  );
}

/** The place of the config of a file's network. */
export interface NetworkConfigOptions {
  /** A folder with a `config.json`, or with a folder of the part's name that has one. */
  config?: string;
  /** The folder of the pipeline that the network is for, which may have a `config.json` of its part. */
  pipeline?: string;
  family?: CheckpointFamily;
}

/**
 * The config of a file's network: from the folder that is given; from the `config.json` beside a file of a folder; from
 * the folder of its pipeline; or as its family was published.
 *
 * @throws WeightsFormatError if its sizes are of no published family and there is no config
 */
export async function configOfNetwork(
  from: BytesFrom,
  file: SafetensorsFile,
  network: NetworkInFile,
  { config, pipeline, family: given }: NetworkConfigOptions,
): Promise<Record<string, unknown>> {
  if (config !== undefined) return givenConfig(file, config, network);
  if (network.part === "ip_adapter") return ipAdapterConfig(file, network.prefix);
  const own = (await configBeside(from, network)) ?? (await configOfPipeline(pipeline, network));
  if (own) return own;
  if (network.part === "adapter") return { ...t2iAdapterConfig(file, network.prefix) };
  const family = given ?? network.family ?? (network.part === "vae" ? "sd1" : undefined);
  if (family === undefined || network.className === "AutoencoderTiny") {
    if (network.className === "AutoencoderTiny") return { _class_name: "AutoencoderTiny" };
    throw new WeightsFormatError(
      `${file.name}: a ${network.className} of no published size. Give its config.json as { config: the folder }.`,
    );
  }
  if (network.part === "vae" && given === undefined) {
    warn(
      `${file.name}: taken as the autoencoder of Stable Diffusion 1 and 2, whose latents are scaled by 0.18215. ` +
        'Of XL, with the same names, give { family: "sdxl" }.',
    );
  }
  return publishedConfig(file, network, family);
}

/** @throws WeightsFormatError if the folder has neither a config of the part nor one of its own */
async function givenConfig(
  file: SafetensorsFile,
  folder: string,
  { part, prefix }: NetworkInFile,
): Promise<Record<string, unknown>> {
  const isText = part.startsWith("text_encoder");
  const places = isText ? [part, ...["text_encoder", "text_encoder_2"].filter((other) => other !== part)] : [part];
  const configs: Record<string, unknown>[] = [];
  for (const place of [...places.map((place) => joinPath(folder, place)), folder])
    if (await fileExists(joinPath(place, "config.json"))) configs.push(await readConfig(place));
  // Tensors do not always tell which of a pipeline's text encoders they are of, but their widths differ.
  const width = isText ? textWidth(file.tensors, prefix) : undefined;
  const config = configs.find(({ hidden_size }) => width !== undefined && hidden_size === width) ?? configs[0];
  if (config) return config;
  throw new WeightsFormatError(
    `config: ${folder} has neither ${joinPath(part, "config.json")} nor config.json. Give the folder of the network, or ` +
      "of a pipeline with it.",
  );
}

/** Undefined also if the pipeline's autoencoder is of the other kind, full or tiny, than the file's. */
async function configOfPipeline(
  folder: string | undefined,
  { part, className }: NetworkInFile,
): Promise<Record<string, unknown> | undefined> {
  if (folder === undefined || !(await fileExists(joinPath(folder, part, "config.json")))) return undefined;
  const config = await readConfig(joinPath(folder, part));
  const isTiny = (name: string | undefined) => name === "AutoencoderTiny";
  return isTiny(libraryAndClass(config).className) === isTiny(className) ? config : undefined;
}

function publishedConfig(file: SafetensorsFile, network: NetworkInFile, family: CheckpointFamily) {
  const { className: _class_name, prefix, part, names } = network;
  const { unet, vae, textEncoders } = PUBLISHED[family];
  if (part === "vae") return { ...vae, _class_name };
  if (part === "text_encoder" || part === "text_encoder_2") {
    const width = textWidth(file.tensors, prefix);
    const config = Object.values(textEncoders).find(({ config }) => config.hidden_size === width)?.config;
    if (!config)
      throw new WeightsFormatError(`${file.name}: a text encoder of width ${width}, which is none of ${family}.`);
    const layers = names === "openclip" ? {} : { num_hidden_layers: countLayers(file, prefix) };
    return { ...config, ...layers, architectures: [_class_name] };
  }
  const conv = names === "ldm" ? "input_blocks.0.0.weight" : "conv_in.weight";
  const in_channels = file.tensors.get(`${prefix}${conv}`)?.shape[1] ?? 4;
  return { ...(part === "controlnet" ? controlNetConfigFor(unet) : unet), in_channels, _class_name };
}

function countLayers({ tensors }: SafetensorsFile, prefix: string): number {
  const numbers = [...tensors.keys()].flatMap((name) =>
    name.startsWith(prefix) ? (/encoder\.layers\.(\d+)\./.exec(name)?.[1] ?? []) : [],
  );
  return new Set(numbers).size;
}

/** The files of folders in the layout of diffusers and transformers. */
const FOLDER_FILE = /^(.*?)(?:diffusion_pytorch_model|model)(?:\.[\w-]+)?\.safetensors$/;

async function configBeside(from: BytesFrom, { part }: NetworkInFile): Promise<Record<string, unknown> | undefined> {
  if (typeof from !== "string" && !(from instanceof URL)) return undefined;
  const path = await localPath(from);
  const folder = FOLDER_FILE.exec(path)?.[1];
  if (folder === undefined || /^(data|blob):/i.test(path)) return undefined;
  const here = folder === "" && !isAddress(path) ? "." : folder;
  if (!(await fileExists(joinPath(here, "config.json")))) return undefined;
  const config = await readConfig(here);
  return KNOWN_PARTS[libraryAndClass(config).className ?? ""] === part.replace(/_2$/, "") ? config : undefined;
}

const KNOWN_PARTS: Readonly<Record<string, NetworkInFile["part"]>> = {
  UNet2DConditionModel: "unet",
  UNet2DModel: "unet",
  AutoencoderKL: "vae",
  AutoencoderTiny: "vae",
  ControlNetModel: "controlnet",
  IPAdapter: "ip_adapter",
  T2IAdapter: "adapter",
  CLIPTextModel: "text_encoder",
  CLIPTextModelWithProjection: "text_encoder",
};

/** A network's tensors in a file, and the names of those that have no use; not those of the file's other networks. */
export function viewOfNetwork(
  file: SafetensorsFile,
  model: Model,
  { part, prefix, names }: NetworkInFile,
): StoredView & { unused: string[] } {
  const piece = storedPiece(model, names);
  const isTraining = (stored: string) => part === "vae" && VAE_TRAINING.test(stored.slice(prefix.length));
  const isBuffer = (stored: string) => part.startsWith("text_encoder") && isTextBuffer(stored, model);
  const isOwn = (stored: string) => stored.startsWith(prefix) && !isTraining(stored) && !isBuffer(stored);
  const view = storedView(file, model, (name) => ({ ...piece(name), stored: prefix + piece(name).stored }), isOwn);
  const besides = networksIn(file).filter((other) => other.prefix !== prefix && other.prefix !== "");
  const isOfOther = (stored: string) => besides.some((other) => stored.startsWith(other.prefix));
  const others = [...file.tensors.keys()].filter(
    (stored) => !isOwn(stored) && !view.used.has(stored) && !isOfOther(stored),
  );
  return { ...view, unused: others.filter((stored) => !isBuffer(stored)) };
}
