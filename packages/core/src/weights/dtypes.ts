/** Number types of the safetensors format. */
export type Dtype = "F64" | "F32" | "F16" | "BF16" | "F8_E4M3" | "F8_E5M2" | "I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8" | "BOOL";

export type NumberArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** Bytes of one number. */
export const DTYPE_BYTES: Readonly<Record<Dtype, number>> = {
  F64: 8, F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, F8_E5M2: 1,
  I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1,
}; // prettier-ignore

export function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(DTYPE_BYTES, value);
}

/** The numbers in `bytes` (little-endian, as on disk). The small floats come out as float32, which holds each of them exactly. */
export function decodeNumbers(bytes: Uint8Array, dtype: Dtype): NumberArray {
  const buffer = bytes.slice().buffer; // aligned, and the caller's own
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return widen(new Uint16Array(buffer), FLOAT16_BITS());
    case "BF16":
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    case "F8_E4M3":
      return widen(new Uint8Array(buffer), FLOAT8_E4M3_BITS());
    case "F8_E5M2":
      return widen(Uint16Array.from(new Uint8Array(buffer), (bits) => bits << 8), FLOAT16_BITS());
    case "I64":
      return new BigInt64Array(buffer);
    case "U64":
      return new BigUint64Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** Numbers as the little-endian bytes of `dtype`; floats are rounded to the nearest, halves to even. Borrows the memory where nothing changes. */
export function encodeNumbers(data: NumberArray, dtype: Dtype): Uint8Array {
  const stored = data instanceof Float32Array || data instanceof Float64Array ? encodeFloats(data, dtype) : data;
  if (stored.BYTES_PER_ELEMENT !== DTYPE_BYTES[dtype]) {
    throw new TypeError(`A ${data.constructor.name} cannot be written as ${dtype}: convert it to the array that holds ${dtype} first.`);
  }
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function encodeFloats(data: Float32Array | Float64Array, dtype: Dtype): NumberArray {
  switch (dtype) {
    case "F16":
      return float32ToFloat16(data instanceof Float32Array ? data : Float32Array.from(data));
    case "BF16":
      return float32ToBfloat16(data instanceof Float32Array ? data : Float32Array.from(data));
    case "F32":
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case "F64":
      return data instanceof Float64Array ? data : Float64Array.from(data);
    default:
      throw new TypeError(`Floating-point numbers cannot be written as ${dtype}; use F64, F32, F16 or BF16.`);
  }
}

function bitsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}

/** IEEE 754 binary16, rounded to nearest even; too large becomes infinite, NaN stays NaN. */
export function float32ToFloat16(data: Float32Array): Uint16Array {
  return Uint16Array.from(bitsOf(data), (bits) => {
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
    if (magnitude >= 0x47800000) return sign | 0x7c00;
    if (magnitude >= 0x38800000) {
      // The exponent is rebased; a carry out of the rounded digits goes into it, and from the largest to infinity.
      return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    }
    const shift = 126 - (magnitude >>> 23); // subnormal: counts of 2^-24
    if (shift > 24) return sign;
    const digits = (magnitude & 0x7fffff) | 0x800000;
    const half = 1 << (shift - 1);
    const rounded = (digits + half - 1 + ((digits >>> shift) & 1)) >>> shift;
    return sign | rounded;
  });
}

/** The upper half of a float32, rounded to nearest even; NaN stays NaN. */
export function float32ToBfloat16(data: Float32Array): Uint16Array {
  return Uint16Array.from(bitsOf(data), (bits) =>
    (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16,
  );
}

function widen(small: Uint16Array | Uint8Array, table: Uint32Array): Float32Array {
  return new Float32Array(Uint32Array.from(small, (bits) => table[bits]!).buffer);
}

/** Float32 bits of every number with the given layout, made once. `hasInfinity`: the top exponent is infinite and NaN, as in IEEE 754. */
function bitTable(exponentBits: number, digitBits: number, hasInfinity: boolean): () => Uint32Array {
  let table: Uint32Array | undefined;
  const make = () => {
    const bias = 2 ** (exponentBits - 1) - 1;
    const top = 2 ** exponentBits - 1;
    const digitsMask = 2 ** digitBits - 1;
    const converter = new Float32Array(1);
    return Uint32Array.from({ length: 2 ** (1 + exponentBits + digitBits) }, (_, bits) => {
      const sign = bits >>> (exponentBits + digitBits);
      const exponent = (bits >>> digitBits) & top;
      const digits = bits & digitsMask;
      if (exponent === top && (hasInfinity || digits === digitsMask)) {
        return ((sign << 31) | 0x7f800000 | (digits << (23 - digitBits))) >>> 0;
      }
      const size = exponent === 0 ? digits * 2 ** (1 - bias - digitBits) : (1 + digits / 2 ** digitBits) * 2 ** (exponent - bias);
      converter[0] = size;
      return ((sign << 31) | bitsOf(converter)[0]!) >>> 0;
    });
  };
  return () => (table ??= make());
}

const FLOAT16_BITS = bitTable(5, 10, true);
/** The "fn" kind, as in PyTorch: no infinity, and only all ones is NaN. */
const FLOAT8_E4M3_BITS = bitTable(4, 3, false);
