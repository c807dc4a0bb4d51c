/** The deepest nesting of JSON: that of the reference reader of safetensors files. */
export const DEEPEST_NESTING = 127;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING = new Set([0x5b, 0x7b]); // [ {
const CLOSING = new Set([0x5d, 0x7d]); // ] }

/**
 * Returns a function that reads JSON as UTF-8 in parts, and returns whether everything so far is nested at most {@link
 * DEEPEST_NESTING} deep. It runs before the parser, which needs forty bytes of memory for each bracket.
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

/**
 * JSON.parse for texts of unknown origin.
 *
 * @throws SyntaxError also for a text that is nested deeper than {@link DEEPEST_NESTING}
 */
export function parseShallowJson(text: string): unknown {
  if (!isShallow(text)) throw new SyntaxError(`it is nested more than ${DEEPEST_NESTING} levels deep`);
  return JSON.parse(text);
}

/** Whether a text is nested no deeper than {@link DEEPEST_NESTING}. */
export function isShallow(json: string): boolean {
  const step = 65536;
  const encoder = new TextEncoder();
  const passes = nestingGuard();
  for (let at = 0; at < json.length; at += step) {
    if (!passes(encoder.encode(json.slice(at, at + step)))) return false;
  }
  return true;
}
