/**
 * A learning rate that rises linearly over `warmupSteps` and then falls along half a cosine to `finalFraction` of its
 * maximum, which it would reach at step `totalSteps + 1` (Loshchilov & Hutter 2017, eq. 5, one cycle). Steps count from
 * 1.
 */
export function warmupCosine({
  learningRate,
  warmupSteps,
  totalSteps,
  finalFraction = 0,
}: {
  learningRate: number;
  warmupSteps: number;
  totalSteps: number;
  /** In [0, 1]. */
  finalFraction?: number;
}): ((step: number) => number) & { readonly settings: object } {
  if (!(learningRate > 0 && learningRate < Infinity)) {
    throw new RangeError(`warmupCosine: learningRate is ${learningRate}; it must be positive, such as 1e-3.`);
  }
  if (
    !Number.isInteger(warmupSteps) ||
    !Number.isInteger(totalSteps) ||
    warmupSteps < 0 ||
    totalSteps < Math.max(1, warmupSteps)
  ) {
    throw new RangeError(
      `warmupCosine: ${warmupSteps} warm-up steps of ${totalSteps} steps; both must be whole, and the warm-up no longer than the run.`,
    );
  }
  if (!(finalFraction >= 0 && finalFraction <= 1)) {
    throw new RangeError(`warmupCosine: finalFraction is ${finalFraction}; it must be in [0, 1].`);
  }
  const rate = (step: number) => {
    if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / (totalSteps + 1 - warmupSteps));
    return learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
  };
  const name = "warmupCosine";
  return Object.assign(rate, { settings: { name, learningRate, warmupSteps, totalSteps, finalFraction } });
}
