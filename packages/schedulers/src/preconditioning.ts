/** How Karras et al. 2022 wrap a network F into a denoiser: D(x; sigma) = skip x + out F(in x; noise). */
export interface Preconditioning {
  readonly skip: number;
  readonly out: number;
  readonly in: number;
  /** What F is told of the noise level: ln(sigma) / 4. */
  readonly noise: number;
}

/**
 * c_skip, c_out, c_in and c_noise of a noise level (Karras et al. 2022, table 1, last column). They give the network's
 * input and its target variance 1, and make its errors count as little as possible (their appendix B.6).
 *
 * @param sigma above 0
 * @param sigmaData standard deviation of the data
 * @throws RangeError unless both are positive
 */
export function preconditioning(sigma: number, sigmaData = 0.5): Preconditioning {
  if (!(sigma > 0 && sigmaData > 0 && sigma < Infinity)) {
    throw new RangeError(
      `preconditioning: sigma is ${sigma}, sigmaData ${sigmaData}; both must be positive, such as 1 and 0.5.`,
    );
  }
  const total = Math.hypot(sigma, sigmaData);
  return {
    skip: sigmaData ** 2 / total ** 2,
    out: (sigma * sigmaData) / total,
    in: 1 / total,
    noise: Math.log(sigma) / 4,
  };
}
