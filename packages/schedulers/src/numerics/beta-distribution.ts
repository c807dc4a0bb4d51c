/** The q-quantile of the beta distribution: the x with I_x(a, b) = q, by bisection to the last bit. */
export function betaQuantile(q: number, a: number, b: number): number {
  if (q <= 0) return 0;
  if (q >= 1) return 1;
  let [low, high] = [0, 1];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (regularizedBeta(middle, a, b) < q) low = middle;
    else high = middle;
  }
}

/** I_x(a, b), the regularised incomplete beta function (DLMF 8.17.22, evaluated from its tail). */
function regularizedBeta(x: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - regularizedBeta(1 - x, b, a);
  const TERMS = 200; // The continued fraction converges at least like 0.5^n here.
  let fraction = 1;
  for (let n = TERMS; n >= 1; n--) {
    const m = Math.floor(n / 2);
    const numerator =
      n % 2 === 0
        ? (m * (b - m) * x) / ((a + n - 1) * (a + n))
        : (-(a + m) * (a + b + m) * x) / ((a + n - 1) * (a + n));
    fraction = 1 + numerator / fraction;
  }
  const logFront = a * Math.log(x) + b * Math.log1p(-x) - logGamma(a) - logGamma(b) + logGamma(a + b);
  return Math.exp(logFront) / (a * fraction);
}

/**
 * Logarithm of the gamma function for x > 0: Stirling's series (DLMF 5.11.1), after the recurrence has raised x to
 * where the series is exact.
 */
function logGamma(x: number): number {
  if (x < 12) return logGamma(x + 1) - Math.log(x);
  const y = 1 / (x * x);
  const series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}
