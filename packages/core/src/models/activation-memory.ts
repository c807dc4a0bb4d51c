import type { DenoiserSizes } from "./denoiser.js";

/** Bytes of a float32. */
const FLOAT_BYTES = 4;

/** Feature maps of full width that a block holds at once. A gated feed-forward layer alone is eight times as wide. */
const MAPS_OF_A_BLOCK = 8;

/** Bytes of a tensor of floats. */
export function floatBytes(...shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, FLOAT_BYTES);
}

/**
 * A lower limit of the bytes that a denoiser needs besides its weights, for one sample of a batch: its skip connections
 * and the tensors of the running block. Measured peaks are one to four times as large, so what does not fit by this
 * number cannot work.
 *
 * @param rows height of the sample, in latents or pixels
 */
export function denoiserBytes(network: DenoiserSizes, rows: number, columns: number): number {
  const maps = network.featureMaps?.(rows, columns) ?? [[rows, columns, network.inChannels]];
  const bytes = maps.map((map) => floatBytes(...map));
  return bytes.reduce((sum, map) => sum + map, 0) + MAPS_OF_A_BLOCK * Math.max(...bytes);
}

/**
 * A lower limit for decoding one picture: the autoencoder's largest feature map, and the pixels. The last enlargement
 * gives the second level's channels at full size.
 */
export function decoderBytes({ config }: AutoencoderSizes, height: number, width: number): number {
  const [first, second = first!] = config.block_out_channels;
  return floatBytes(height, width, second + 3);
}

/** What an autoencoder's config says about its sizes. */
export interface AutoencoderSizes {
  readonly config: { readonly block_out_channels: readonly number[] };
}

/** The sizes in a text encoder's config. */
export interface TextEncoderSizes {
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_hidden_layers: number;
}

/** The sizes of a transformer, and of the sequence that it reads. */
export interface TransformerSizes {
  tokens: number;
  width: number;
  heads: number;
}

/** A lower limit for a transformer that reads one sequence: the tensors of the running block, and attention scores. */
export function transformerBytes({ tokens, width, heads }: TransformerSizes): number {
  return MAPS_OF_A_BLOCK * floatBytes(tokens, width) + floatBytes(heads, tokens, tokens);
}

/** A lower limit for reading one text. */
export function textEncoderBytes({ config }: { readonly config: TextEncoderSizes }): number {
  const { max_position_embeddings: tokens, hidden_size: width, num_attention_heads: heads } = config;
  // The states after each layer are part of the result.
  return transformerBytes({ tokens, width, heads }) + config.num_hidden_layers * floatBytes(tokens, width);
}
