/**
 * Finds flaws that JSON.parse accepts and a strict reader refuses, so that two readers could see different contents: a
 * duplicate key, a number that is not written as a plain whole number (1.0, 1e3, -0), half a surrogate pair. Undefined
 * if there are none.
 */
export function jsonFlaw(json: string): string | undefined {
  /** The keys of each open object so far; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(undefined);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const end = endOfString(json, i);
      const text = JSON.parse(json.slice(i, end)) as string;
      if (/\p{Surrogate}/u.test(text)) return `${JSON.stringify(text)} has half a surrogate pair`;
      i = end - 1;
      const keys = open[open.length - 1];
      if (!keys || !isKey(json, end)) continue;
      if (keys.has(text)) return `the key ${JSON.stringify(text)} occurs twice`;
      keys.add(text);
    } else if (character === "-" || isDigit(character)) {
      const number = NUMBER.exec(json.slice(i, i + LONGEST_NUMBER))![0];
      if (!/^\d+$/.test(number)) return `${number} is not written as a whole number`;
      i += number.length - 1;
    }
  }
  return undefined;
}

const NUMBER = /^[-+.\deE]+/;
const LONGEST_NUMBER = 400;

function isDigit(character: string): boolean {
  return character >= "0" && character <= "9";
}

/** The position after the quote that ends the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let end = start + 1;
  while (json[end] !== '"') end += json[end] === "\\" ? 2 : 1;
  return end + 1;
}

function isKey(json: string, end: number): boolean {
  let next = end;
  while (" \t\r\n".includes(json[next] ?? "x")) next++;
  return json[next] === ":";
}
