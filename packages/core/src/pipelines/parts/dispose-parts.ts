/** Frees the weights of all parts that have any. */
export function disposeParts(parts: object): void {
  for (const part of Object.values(parts) as (Partial<{ dispose(): void }> | undefined)[]) part?.dispose?.();
}
