/** A source of a file's bytes, of which parts can be read. */
export interface ByteSource {
  /** Its name in messages. */
  readonly name: string;
  readonly size: number;
  /** Bytes from `begin` up to `end`, in a buffer of their own. Throws WeightsReadError. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export function memorySource(bytes: Uint8Array, name = "the given bytes"): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (begin, end) => new Uint8Array(bytes.subarray(begin, end)),
    close: async () => {},
  };
}

export function blobSource(blob: Blob): ByteSource {
  return {
    name: blob instanceof File ? blob.name : "the given blob",
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
    close: async () => {},
  };
}
