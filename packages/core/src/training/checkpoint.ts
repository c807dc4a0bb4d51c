import { WeightsFormatError } from "../weights/errors.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { CheckpointMismatchError, DamagedCheckpointError } from "./errors.js";

/** Everything a run needs to continue as if it had never stopped. */
export interface Checkpoint {
  /** Steps finished. */
  readonly step: number;
  /** The settings of the run as plain JSON; a resumed run must have the same. */
  readonly settings: Json;
  /** Float32 arrays by name; their shapes are those in memory. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

const FORMAT = "tfjs-diffusion training checkpoint, version 1";

/** A checkpoint as a safetensors file, with a SHA-256 over its contents in the file's metadata. */
export async function encodeCheckpoint({ step, settings, tensors }: Checkpoint): Promise<Uint8Array> {
  const metadata = { format: FORMAT, step: String(step), settings: canonicalJson(settings) };
  const sha256 = await digest(metadata, tensors);
  const described = new Map([...tensors].map(([name, tensor]) => [name, { dtype: "F32", ...tensor } as const]));
  return encodeSafetensors(described, { ...metadata, sha256 });
}

/** Reads back {@link encodeCheckpoint}; throws {@link DamagedCheckpointError} if a byte has changed. */
export async function decodeCheckpoint(bytes: Uint8Array): Promise<Checkpoint> {
  const { metadata, tensors } = await readTensors(bytes);
  const { sha256, ...described } = metadata;
  if (sha256 === undefined)
    throw new DamagedCheckpointError("it has no checksum, so it is damaged or not a checkpoint");
  if (sha256 !== (await digest(described, tensors))) {
    throw new DamagedCheckpointError("its contents do not match their SHA-256 checksum");
  }
  if (described.format !== FORMAT) {
    throw new CheckpointMismatchError(
      `its format is ${JSON.stringify(described.format)}, this version reads ${JSON.stringify(FORMAT)}`,
    );
  }
  return { step: Number(described.step), settings: JSON.parse(described.settings!) as Json, tensors };
}

async function readTensors(
  bytes: Uint8Array,
): Promise<Pick<Checkpoint, "tensors"> & { metadata: Record<string, string> }> {
  try {
    const file = await openSafetensors(bytes);
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const [name, { shape, dtype }] of file.tensors) {
      if (dtype !== "F32") throw new WeightsFormatError(`tensor ${JSON.stringify(name)} is ${dtype} and not F32`);
      tensors.set(name, { shape, data: (await file.read(name)) as Float32Array });
    }
    return { metadata: { ...file.metadata }, tensors };
  } catch (error) {
    if (error instanceof WeightsFormatError) throw new DamagedCheckpointError(error.message);
    throw error;
  }
}

/** JSON with sorted keys and without undefined values, so equal settings give equal text. */
export function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Which settings differ, as `path: was x, now y`. */
export function settingsDifferences(
  was: Json | undefined,
  now: Json | undefined,
  path = "",
  found: string[] = [],
): string[] {
  if (isRecord(was) && isRecord(now)) {
    for (const key of new Set([...Object.keys(was), ...Object.keys(now)])) {
      settingsDifferences(was[key], now[key], path ? `${path}.${key}` : key, found);
    }
  } else if (canonicalJson(was ?? null) !== canonicalJson(now ?? null)) {
    found.push(`${path}: was ${canonicalJson(was ?? null)}, now ${canonicalJson(now ?? null)}`);
  }
  return found;
}

export function isRecord(value: Json | undefined): value is { readonly [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function digest(metadata: Readonly<Record<string, string>>, tensors: Checkpoint["tensors"]): Promise<string> {
  const names = [...tensors.keys()].sort();
  const head = canonicalJson({ metadata, tensors: names.map((name) => [name, tensors.get(name)!.shape]) });
  const parts = [new TextEncoder().encode(head), ...names.map((name) => asBytes(tensors.get(name)!.data))];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.byteLength;
  }
  const hash = await globalThis.crypto.subtle.digest("SHA-256", all);
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function asBytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
