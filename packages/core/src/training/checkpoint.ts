import { decodeSafetensors, encodeSafetensors } from "./safetensors-bytes.js";
import { CheckpointMismatchError, DamagedCheckpointError } from "./errors.js";

/** Everything a run needs to go on as if it had never stopped. */
export interface Checkpoint {
  /** Steps finished. */
  readonly step: number;
  /** The settings of the run, as plain JSON: a resumed run must have the same. */
  readonly settings: Json;
  /** Named float32 arrays; shapes are those in memory. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

const FORMAT = "tfjs-diffusion training checkpoint, version 1";

/** A checkpoint as a safetensors file, with a SHA-256 over its contents in the file's metadata. */
export async function encodeCheckpoint({ step, settings, tensors }: Checkpoint): Promise<Uint8Array> {
  const metadata = { format: FORMAT, step: String(step), settings: canonicalJson(settings) };
  const sha256 = await digest(metadata, tensors);
  return encodeSafetensors(tensors, { ...metadata, sha256 });
}

/** Reads back {@link encodeCheckpoint}; throws {@link DamagedCheckpointError} if a byte has changed. */
export async function decodeCheckpoint(bytes: Uint8Array): Promise<Checkpoint> {
  let file: ReturnType<typeof decodeSafetensors>;
  try {
    file = decodeSafetensors(bytes);
  } catch (error) {
    throw new DamagedCheckpointError(`it is not a readable safetensors file (${(error as Error).message})`);
  }
  const { sha256, ...metadata } = file.metadata;
  if (sha256 !== (await digest(metadata, file.tensors))) {
    throw new DamagedCheckpointError("its contents do not match their SHA-256 checksum");
  }
  if (metadata.format !== FORMAT) {
    throw new CheckpointMismatchError(
      `its format is ${JSON.stringify(metadata.format)}, this version reads ${JSON.stringify(FORMAT)}`,
    );
  }
  return { step: Number(metadata.step), settings: JSON.parse(metadata.settings!) as Json, tensors: file.tensors };
}

/** JSON with sorted keys and without undefined values: equal settings give equal text. */
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

function isRecord(value: Json | undefined): value is { readonly [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function digest(metadata: Readonly<Record<string, string>>, tensors: Checkpoint["tensors"]): Promise<string> {
  const { sha256: _, ...described } = metadata;
  const names = [...tensors.keys()].sort();
  const head = canonicalJson({ described, tensors: names.map((name) => [name, tensors.get(name)!.shape]) });
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
