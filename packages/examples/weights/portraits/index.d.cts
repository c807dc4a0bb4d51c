// Written by scripts/model-packages.mjs.
/**
 * A text-to-image model of 32 x 32 pixel-art portraits: a small latent diffusion model.
 * The address of each file by its path in the model's folder, for openPipeline.
 */
export declare const portraits: Readonly<Record<string, string>>;
