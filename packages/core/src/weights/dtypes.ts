import { WeightsFormatError } from "./errors.js";
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

/** Formats that files may have (safetensors 0.8) and that are not decoded here: the bits of one number. */
const OTHER_BITS = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  C64: 64,
} as const;

/** Number formats that a file may have. Those that are no {@link Dtype} can be read as bytes only. */
export type StoredDtype = Dtype | keyof typeof OTHER_BITS;

export const STORED_DTYPES = [...Object.keys(BITS), ...Object.keys(OTHER_BITS)] as readonly StoredDtype[];

export function isStoredDtype(value: unknown): value is StoredDtype {
  return typeof value === "string" && (Object.hasOwn(BITS, value) || Object.hasOwn(OTHER_BITS, value));
}

/** Bits of one number; those of several numbers lie side by side. */
export function dtypeBits(dtype: StoredDtype): number {
  return isDecodable(dtype) ? 8 * dtypeBytes(dtype) : OTHER_BITS[dtype];
}

/** Bytes of one number. */
export function dtypeBytes(dtype: Dtype): number {
  return BITS[dtype].BYTES_PER_ELEMENT;
}

/** Whether it is one of the floating-point types that decode to float32 or float64. */
export function isFloat(dtype: StoredDtype): boolean {
  return isDecodable(dtype) && (dtype.startsWith("F") || dtype === "BF16");
}

/** What a type is that is not a float, for messages. */
export function otherThanFloat(dtype: StoredDtype): string {
  return isDecodable(dtype) ? `the whole-number type ${dtype}` : `the type ${dtype}, which is not decoded here`;
}

/** Whether its numbers can be decoded. */
export function isDecodable(dtype: StoredDtype): dtype is Dtype {
  return Object.hasOwn(BITS, dtype);
}

/** @throws WeightsFormatError for a type that is not decoded here; `what` names the tensor */
export function requireDecodable(dtype: StoredDtype, what: string): Dtype {
  if (isDecodable(dtype)) return dtype;
  throw new WeightsFormatError(
    `${what} is of ${otherThanFloat(dtype)}. Its bytes can be read (readBytes); for its numbers save it as F32, F16 or BF16.`,
  );
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
export function encodeNumbers(data: NumberArray, dtype: StoredDtype): Uint8Array {
  const bits = data instanceof Float32Array && isSmall(dtype) ? SMALL[dtype](data) : data;
  const Bits = isDecodable(dtype) ? BITS[dtype] : Uint8Array;
  if (!(bits instanceof Bits)) {
    const floats = isSmall(dtype) ? " or a Float32Array" : "";
    throw new TypeError(`A ${data.constructor.name} cannot be written as ${dtype}; give a ${Bits.name}${floats}.`);
  }
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

const SMALL = { F16: float32ToFloat16, BF16: float32ToBfloat16 };

function isSmall(dtype: StoredDtype): dtype is keyof typeof SMALL {
  return dtype in SMALL;
}
