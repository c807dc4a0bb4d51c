/**
 * Converts to IEEE 754 binary16, rounded to nearest even. Numbers that are too large become infinite; NaN stays NaN.
 */
export function float32ToFloat16(data: Float32Array): Uint16Array {
  const source = bitsOf(data);
  const halves = new Uint16Array(data.length);
  for (let i = 0; i < source.length; i++) halves[i] = halfBits(source[i]!);
  return halves;
}

function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // The exponent gets the new bias. A carry of the rounding increments it, from the largest number to infinity.
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  const shift = 126 - (magnitude >>> 23); // subnormal: counts of 2^-24
  if (shift > 24) return sign;
  const digits = (magnitude & 0x7fffff) | 0x800000;
  return sign | ((digits + (1 << (shift - 1)) - 1 + ((digits >>> shift) & 1)) >>> shift);
}

/** Converts to the upper half of a float32 (bfloat16), rounded to nearest even; NaN stays NaN. */
export function float32ToBfloat16(data: Float32Array): Uint16Array {
  const source = bitsOf(data);
  const halves = new Uint16Array(data.length);
  for (let i = 0; i < source.length; i++) {
    const bits = source[i]!;
    const isNaN = (bits & 0x7fffffff) > 0x7f800000;
    halves[i] = isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return halves;
}

export const float16ToFloat32 = (bits: Uint16Array): Float32Array => lookUp(bits, float16Table());

export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const widened = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) widened[i] = bits[i]! << 16;
  return new Float32Array(widened.buffer);
}

/** The "fn" type, as in PyTorch: no infinity, and only all ones is NaN. */
export const float8E4M3ToFloat32 = (bits: Uint8Array): Float32Array => lookUp(bits, float8E4M3Table());

export const float8E5M2ToFloat32 = (bits: Uint8Array): Float32Array => lookUp(bits, float8E5M2Table());

/** Copies bits, because the bits of a NaN may change if it is handled as a number. */
function lookUp(small: Uint16Array | Uint8Array, table: Uint32Array): Float32Array {
  const widened = new Uint32Array(small.length);
  for (let i = 0; i < small.length; i++) widened[i] = table[small[i]!]!;
  return new Float32Array(widened.buffer);
}

const float16Table = bitTable(5, 10, true);
const float8E5M2Table = bitTable(5, 2, true);
const float8E4M3Table = bitTable(4, 3, false);

/**
 * The float32 bits of every number with the given layout, computed once. `hasInfinity`: the largest exponent means
 * infinity and NaN, as in IEEE 754.
 */
function bitTable(exponentBits: number, digitBits: number, hasInfinity: boolean): () => Uint32Array {
  let table: Uint32Array | undefined;
  const make = () => {
    const bias = 2 ** (exponentBits - 1) - 1;
    const top = 2 ** exponentBits - 1;
    const digitsMask = 2 ** digitBits - 1;
    return Uint32Array.from({ length: 2 ** (1 + exponentBits + digitBits) }, (_, bits) => {
      const sign = bits >>> (exponentBits + digitBits);
      const exponent = (bits >>> digitBits) & top;
      const digits = bits & digitsMask;
      if (exponent === top && (hasInfinity || digits === digitsMask)) {
        return ((sign << 31) | 0x7f800000 | (digits << (23 - digitBits))) >>> 0;
      }
      const size =
        exponent === 0 ? digits * 2 ** (1 - bias - digitBits) : (1 + digits / 2 ** digitBits) * 2 ** (exponent - bias);
      return ((sign << 31) | bitsOf(Float32Array.of(size))[0]!) >>> 0;
    });
  };
  return () => (table ??= make());
}

function bitsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}
