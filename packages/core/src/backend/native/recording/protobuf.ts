/**
 * Writes messages of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/): each field is a tag (its
 * number and its wire type), then its value. Supports only what TensorFlow's graphs need.
 */
export class Message {
  readonly #parts: Uint8Array[] = [];

  /** A whole number, an enum or a boolean. */
  integer(field: number, value: number | bigint | boolean): this {
    return this.#add(varint(field << 3), varint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#add(varint((field << 3) | 5), bytes);
  }

  /** A message inside this one, bytes, or text. */
  bytes(field: number, value: Message | Uint8Array | string): this {
    const bytes =
      value instanceof Message ? value.encoded() : typeof value === "string" ? new TextEncoder().encode(value) : value;
    return this.#add(varint((field << 3) | 2), varint(bytes.length), bytes);
  }

  encoded(): Uint8Array {
    const bytes = new Uint8Array(this.#parts.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const part of this.#parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  }

  #add(...parts: Uint8Array[]): this {
    this.#parts.push(...parts);
    return this;
  }
}

/** Seven bits per byte, the lowest first; negative numbers as 64 bits. */
function varint(value: number | bigint | boolean): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}
