/**
 * The first key that an object in valid JSON text has twice, at any depth. JSON.parse keeps the last of them without
 * a word, so that two readers of one file could see two different tensors.
 */
export function repeatedKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g;
  const colon = /\s*:/y;
  for (let match = token.exec(json); match; match = token.exec(json)) {
    const [text] = match;
    if (text === "{") open.push(new Set());
    else if (text === "[") open.push(undefined);
    else if (text === "}" || text === "]") open.pop();
    else {
      const keys = open[open.length - 1];
      colon.lastIndex = token.lastIndex;
      if (!keys || !colon.test(json)) continue;
      const key = JSON.parse(text) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
