/** A config's `sample_size` as height and width; a single number means a square. */
export function sidesOf(size: number | [number, number] | null): [height: number, width: number] | undefined {
  if (size === null) return undefined;
  const [height, width = height] = [size].flat() as [number, number?];
  return [height, width];
}
