type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Minimal float32 safetensors, in memory. */
export function encodeSafetensors(tensors: Tensors, metadata: Readonly<Record<string, string>>): Uint8Array {
  let offset = 0;
  const entries = [...tensors].map(([name, { shape, data }]) => {
    const begin = offset;
    offset += data.byteLength;
    return [name, { dtype: "F32", shape, data_offsets: [begin, offset] }] as const;
  });
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const start = 8 + Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(start + offset).fill(0x20, 8, start);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  let at = start;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

export function decodeSafetensors(bytes: Uint8Array): {
  tensors: Map<string, { shape: number[]; data: Float32Array }>;
  metadata: Record<string, string>;
} {
  if (bytes.byteLength < 8) throw new Error("it is shorter than 8 bytes");
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const start = 8 + length;
  if (start > bytes.byteLength) throw new Error("it ends before its header does");
  const { __metadata__: metadata = {}, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, start)),
  ) as Record<string, never>;
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, entry] of Object.entries(header)) {
    const { shape, data_offsets } = entry as { shape: number[]; data_offsets: [number, number] };
    const part = Uint8Array.prototype.slice.call(bytes, start + data_offsets[0], start + data_offsets[1]);
    if (part.byteLength !== data_offsets[1] - data_offsets[0]) throw new Error(`it ends before ${name} does`);
    tensors.set(name, { shape, data: new Float32Array(part.buffer) });
  }
  return { tensors, metadata };
}
