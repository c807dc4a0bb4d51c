// Written by scripts/model-packages.mjs.
/**
 * A text-to-image model of 16 x 16 pixel-art faces, without an autoencoder.
 * The address of each file by its path in the model's folder, for openPipeline.
 */
export declare const faces: Readonly<Record<string, string>>;
