import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  float8E4M3ToFloat32,
  float8E5M2ToFloat32,
} from "./small-floats.js";

/** Number types of the safetensors format: the array that holds their bits, little-endian as on disk. */
const BITS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** Number formats of safetensors that are read and written here. */
export type Dtype = keyof typeof BITS;
/** Numbers as {@link Dtype}s are decoded: F16 and BF16 to a Float32Array, 64-bit integers to BigInts. */
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

export const DTYPES = Object.keys(BITS) as readonly Dtype[];

export function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(BITS, value);
}

/** Bytes of one number. */
export function dtypeBytes(dtype: Dtype): number {
  return BITS[dtype].BYTES_PER_ELEMENT;
}

/** Whether it is one of the floating-point types, which decode to float32 or float64. */
export function isFloat(dtype: Dtype): boolean {
  return dtype.startsWith("F") || dtype === "BF16";
}

/**
 * The numbers in `bytes`, which it takes over: they must be the whole of their buffer.
 * The small floats come out as float32, which holds each of them exactly.
 */
export function decodeNumbers({ buffer }: Uint8Array<ArrayBuffer>, dtype: Dtype): NumberArray {
  switch (dtype) {
    case "F16":
      return float16ToFloat32(new Uint16Array(buffer));
    case "BF16":
      return bfloat16ToFloat32(new Uint16Array(buffer));
    case "F8_E4M3":
      return float8E4M3ToFloat32(new Uint8Array(buffer));
    case "F8_E5M2":
      return float8E5M2ToFloat32(new Uint8Array(buffer));
    default:
      return new BITS[dtype](buffer);
  }
}

/**
 * Numbers as the bytes of `dtype`. Float32 may also be written as F16 or BF16, rounded to the nearest, halves to even;
 * otherwise the array must be the one that holds the bits. Borrows the memory where nothing changes.
 *
 * @throws TypeError for any other pair of array and dtype
 */
export function encodeNumbers(data: NumberArray, dtype: Dtype): Uint8Array {
  const bits = data instanceof Float32Array && isSmall(dtype) ? SMALL[dtype](data) : data;
  if (!(bits instanceof BITS[dtype])) {
    const floats = isSmall(dtype) ? " or a Float32Array" : "";
    throw new TypeError(
      `A ${data.constructor.name} cannot be written as ${dtype}; give a ${BITS[dtype].name}${floats}.`,
    );
  }
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

const SMALL = { F16: float32ToFloat16, BF16: float32ToBfloat16 };

function isSmall(dtype: Dtype): dtype is keyof typeof SMALL {
  return dtype in SMALL;
}
