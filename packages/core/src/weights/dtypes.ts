import { WeightsFormatError } from "./errors.js";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  float8E4M3ToFloat32,
  float8E5M2ToFloat32,
} from "./small-floats.js";

/** Number types of the safetensors format, with the array type for their bits, little-endian as on disk. */
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

/** The number types that are read and written here. */
export type Dtype = keyof typeof BITS;
/** The array types of decoded numbers: F16 and BF16 become a Float32Array, 64-bit integers BigInts. */
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

/** Number types of safetensors 0.8 that are not decoded here, with the bits of one number. */
const OTHER_BITS = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  C64: 64,
} as const;

/** All number types of files. Those that are not a {@link Dtype} can only be read as bytes. */
export type StoredDtype = Dtype | keyof typeof OTHER_BITS;

export const STORED_DTYPES = [...Object.keys(BITS), ...Object.keys(OTHER_BITS)] as readonly StoredDtype[];

export function isStoredDtype(value: unknown): value is StoredDtype {
  return typeof value === "string" && (Object.hasOwn(BITS, value) || Object.hasOwn(OTHER_BITS, value));
}

/** Bits of one number; numbers are stored without gaps. */
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

/** Describes a type that is not a float, for error messages. */
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
    `${what} is of ${otherThanFloat(dtype)}. Read its bytes with readBytes, or save it as F32, F16 or BF16 to read its numbers.`,
  );
}

/**
 * Decodes the numbers in `bytes`, which must be the whole of their buffer. Takes ownership of the buffer. Small floats
 * become float32, which represents each of them exactly.
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
 * Numbers as the bytes of `dtype`. A Float32Array can also be written as F16 or BF16, rounded to nearest, ties to even;
 * otherwise the array must be the type that holds the bits. The result shares the array's memory if no conversion is
 * needed.
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
