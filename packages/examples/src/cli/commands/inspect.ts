import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { ImageError } from "@tfjs-diffusion/core";
import { type CheckpointPart, type CheckpointReport, inspectCheckpoint } from "@tfjs-diffusion/core/layouts";
import { fromCaller } from "../options/from-caller.js";
import { parseOptions } from "../options/option-values.js";
import { readableSettings, settingsOf } from "../options/picture-settings.js";
import { shippedModel } from "../options/shipped.js";
import { UsageError } from "../options/usage-error.js";

export const INSPECT_HELP = `Describes a checkpoint without loading it, or shows the settings of a picture.

  diffusion inspect PATH       a .safetensors file or its address (https://…), a folder of diffusers, a model of this
                               repository (portraits, …), or a .png file that generate or edit wrote
                               (in this repository: npm start -- inspect …)

  --json    print JSON, for programs
  --help    this text
`;

const OPTIONS = {
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** What to inspect, and in which format to report it. */
export interface InspectArguments {
  from: string;
  json: boolean;
}

/**
 * Reads the words after `inspect`.
 *
 * @throws UsageError for an unknown option, or not exactly one path
 */
export function readInspectArguments(args: string[]): InspectArguments | "help" {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return "help";
  const [path, ...others] = positionals;
  if (!path || others.length > 0)
    throw new UsageError(
      `inspect: expected one path, a file or a folder; got ${path ? positionals.join(", ") : "none"}.`,
    );
  return { from: path, json: values.json };
}

/** Prints what is at a path. */
export async function inspect(args: string[]): Promise<void> {
  const wanted = readInspectArguments(args);
  if (wanted === "help") return console.log(INSPECT_HELP);
  if (/\.png$/i.test(wanted.from)) return console.log(await describePicture(fromCaller(wanted.from)));
  const report = await inspectCheckpoint(pathOf(wanted.from));
  console.log(wanted.json ? JSON.stringify(report, null, 2) : describeReport(report));
}

/** A path, an address, or the folder of a model of this repository. Nothing is downloaded from the hub. */
function pathOf(text: string): string {
  const path = fromCaller(text);
  if (path === text || existsSync(path)) return path;
  if (/^[\w.-]+\/[\w.-]+$/.test(text) && !text.endsWith(".safetensors")) {
    throw new UsageError(
      `inspect: ${text}: no such file or folder. For a model on the hub, give the address of one of its files: https://huggingface.co/${text}/resolve/main/….safetensors`,
    );
  }
  return shippedModel(text) ?? path;
}

/** A picture's settings, one per line. */
async function describePicture(path: string): Promise<string> {
  const png = await readFile(path).catch((error: Error) => {
    throw new ImageError(`${path} cannot be read (${error.message}).`, { cause: error });
  });
  const settings = settingsOf(png);
  if (settings === undefined) throw new ImageError(`${path} holds no settings; it was drawn by another program.`);
  return readableSettings(settings);
}

const FAMILY_NAMES = {
  sd1: "Stable Diffusion 1",
  sd2: "Stable Diffusion 2",
  sdxl: "Stable Diffusion XL",
  "sdxl-refiner": "Stable Diffusion XL refiner",
} as const;

/** A report as lines to read. */
export function describeReport(report: CheckpointReport): string {
  const { kind, family, prediction, pictureSize, inChannels, classes, parts, notes } = report;
  const facts = [
    `${kind}${family ? `, ${FAMILY_NAMES[family]}` : ""}${inChannels === 9 ? ", for inpainting" : ""}`,
    pictureSize && `made for pictures of ${pictureSize} x ${pictureSize}`,
    classes && `draws one of ${classes} classes, numbered from 0`,
    prediction && `predicts ${prediction.type} (${prediction.certainty}: ${prediction.reason})`,
  ];
  const width = Math.max(0, ...parts.map((part) => labelOf(part).length));
  const rows = parts.map((part) => `  ${labelOf(part).padEnd(width)}  ${sizesOf(part)}`);
  return [...facts.filter(Boolean), ...rows, ...memoryOf(report), ...notes].join("\n");
}

/**
 * The memory that the weights take when they are loaded, and a drawing besides; of several sets of a network's weights,
 * one is loaded.
 */
function memoryOf({ kind, parts, drawing }: CheckpointReport): string[] {
  if (kind === "lora" || kind === "textual inversion") return []; // They change weights, and add few.
  const parameters = new Map(parts.map(({ name, parameters }) => [name, parameters]));
  const bytes = 4 * [...parameters.values()].reduce((sum, count) => sum + count, 0);
  if (bytes === 0) return [];
  const units = [" B", " KB", " MB", " GB"];
  const all = bytes + (drawing?.bytes ?? 0);
  const place = all > WASM_BYTES ? ", more than WebAssembly can hold: use the native backend or a graphics card" : "";
  const drawn =
    drawing &&
    `; drawing ${drawing.width} x ${drawing.height} pixels takes at least ${scaled(drawing.bytes, units)} more`;
  return [`  takes ${scaled(bytes, units)} of memory as float32${drawn ?? ""}${place}`];
}

/** WebAssembly addresses 4 GiB, and kernels need some of it. */
const WASM_BYTES = 3.9 * 2 ** 30;

function labelOf({ name, variant }: CheckpointPart): string {
  return variant ? `${name} (${variant})` : name;
}

function sizesOf({ tensors, parameters, bytes, dtypes, className }: CheckpointPart): string {
  const types = Object.keys(dtypes).join(" + ");
  return `${tensors} tensors, ${scaled(parameters, ["", "K", "M", "G"])} numbers, ${types}, ${scaled(bytes, [" B", " KB", " MB", " GB"])}${className ? `, ${className}` : ""}`;
}

/** A number with a unit of thousands: 859.5M. */
function scaled(value: number, units: readonly string[]): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${power === 0 ? value : (value / 1000 ** power).toFixed(1)}${units[power]}`;
}
