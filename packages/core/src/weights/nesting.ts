/** How deep JSON may be nested: as deep as the reference reader of safetensors files allows. */
export const DEEPEST_NESTING = 127;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING = new Set([0x5b, 0x7b]); // [ {
const CLOSING = new Set([0x5d, 0x7d]); // ] }

/**
 * Looks through JSON as UTF-8, part after part, and says of each whether all so far is nested no deeper than
 * {@link DEEPEST_NESTING}. A parser takes forty bytes for a bracket, so this comes before it.
 */
export function nestingGuard(): (part: Uint8Array) => boolean {
  let depth = 0;
  let isText = false;
  let isEscaped = false;
  return (part) => {
    for (const byte of part) {
      if (isEscaped) isEscaped = false;
      else if (isText) {
        isEscaped = byte === BACKSLASH;
        isText = byte !== QUOTE;
      } else if (byte === QUOTE) isText = true;
      else if (OPENING.has(byte)) depth++;
      else if (CLOSING.has(byte)) depth--;
      if (depth > DEEPEST_NESTING) return false;
    }
    return true;
  };
}

/** The same of a text. */
export function isShallow(json: string): boolean {
  const step = 65536;
  const encoder = new TextEncoder();
  const passes = nestingGuard();
  for (let at = 0; at < json.length; at += step) {
    if (!passes(encoder.encode(json.slice(at, at + step)))) return false;
  }
  return true;
}
