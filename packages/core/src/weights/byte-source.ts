/** The bytes of a file, which can be read in parts. */
export interface ByteSource {
  /** Its name in messages. */
  readonly name: string;
  readonly size: number;
  /**
   * The bytes from `begin` up to, but not including, `end`, in a new buffer.
   * @throws WeightsReadError
   */
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
