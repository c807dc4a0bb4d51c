import * as tf from "@tensorflow/tfjs";
import { silu } from "../../nn/activations.js";
import { Conv2d } from "../../nn/conv2d.js";
import { zeros } from "../../nn/initializers.js";
import { requireTensor } from "../checks.js";
import { conditionalInputs, EXAMPLE_TIME, type ExampleNoise, type ExamplePass } from "../example-pass.js";
import { type ControlNetConfig, resolveControlNetConfig, unetConfigOf } from "./controlnet-config.js";
import { ConditionEncoder, type ConditionInputs } from "./unet-2d-condition-encoder.js";

/** The inputs of the controlled UNet, and the strength of the control. */
export interface ControlNetOptions extends ConditionInputs {
  /** Multiplies every residual. Default 1. */
  scale?: number;
  /** Scales the residuals from 0.1 at the finest level to 1 in the middle, so that it works without a prompt. */
  guessMode?: boolean;
}

/** Residuals to add to the feature maps of a UNet; the caller owns them. */
export interface ControlNetOutput {
  downResiduals: tf.Tensor4D[];
  midResidual: tf.Tensor4D;
}

/** A convolution that starts at zero, so that an untrained ControlNet changes nothing. */
function zeroConv(inChannels: number, outChannels: number, kernel: number): Conv2d {
  return new Conv2d(inChannels, outChannels, { kernel, weightInit: zeros, biasInit: zeros });
}

/** Reduces the control picture to the size and width of the UNet's first feature map. */
class ConditioningEmbedding {
  readonly conv_in: Conv2d;
  readonly blocks: Conv2d[];
  readonly conv_out: Conv2d;

  constructor(inChannels: number, channels: readonly number[], outChannels: number) {
    this.conv_in = new Conv2d(inChannels, channels[0]!);
    this.blocks = channels.slice(1).flatMap((next, i) => {
      const width = channels[i]!;
      return [new Conv2d(width, width), new Conv2d(width, next, { stride: 2, padding: 1 })];
    });
    this.conv_out = zeroConv(channels.at(-1)!, outChannels, 3);
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = silu(this.conv_in.forward(x));
      for (const block of this.blocks) h = silu(block.forward(h));
      return this.conv_out.forward(h);
    });
  }
}

/**
 * ControlNet (Zhang et al. 2023): a copy of a UNet's way down that also reads a control picture (edges, depth, pose),
 * and computes residuals to add to the UNet's feature maps.
 */
export class ControlNetModel extends ConditionEncoder {
  readonly config: ControlNetConfig;
  readonly controlnet_cond_embedding: ConditioningEmbedding;
  readonly controlnet_down_blocks: Conv2d[];
  readonly controlnet_mid_block: Conv2d;

  constructor(given: Partial<ControlNetConfig> = {}) {
    const config = resolveControlNetConfig(given);
    super("ControlNetModel", unetConfigOf(config));
    this.config = config;
    const widths = this.levels.map(({ channels }) => channels);
    this.controlnet_cond_embedding = new ConditioningEmbedding(
      config.conditioning_channels,
      config.conditioning_embedding_out_channels,
      widths[0]!,
    );
    const kept = this.down_blocks.flatMap(({ resnets, downsamplers = [] }, i) =>
      [...resnets, ...downsamplers].map(() => widths[i]!),
    );
    this.controlnet_down_blocks = [widths[0]!, ...kept].map((width) => zeroConv(width, width, 1));
    this.controlnet_mid_block = zeroConv(widths.at(-1)!, widths.at(-1)!, 1);
  }

  /**
   * x, t, context: as the UNet's; cond [B, f H, f W, conditioning_channels] in [0, 1], f = 8 in published models.
   * Borrows its arguments. Throws ModelInputError before any work.
   */
  forward(
    x: tf.Tensor4D,
    t: number | tf.Tensor1D,
    context: tf.Tensor3D,
    cond: tf.Tensor4D,
    { scale = 1, guessMode = false, ...inputs }: ControlNetOptions = {},
  ): ControlNetOutput {
    this.checkInputs(x, t, context, inputs);
    const factor = this.#factor;
    const [batch, height, width] = x.shape;
    requireTensor(this.name, "cond", cond, {
      shape: [batch, height * factor, width * factor, this.config.conditioning_channels],
      axes: "[B, H, W, C]",
      hint: `The control picture is ${factor} times as high and wide as x.`,
    });
    return tf.tidy(() => {
      const ordered = this.config.controlnet_conditioning_channel_order === "bgr" ? cond.reverse(3) : cond;
      const h = this.conv_in.forward(x).add<tf.Tensor4D>(this.controlnet_cond_embedding.forward(ordered));
      const { skips, middle } = this.encode(h, this.conditioning(x, context, this.vectors(t, inputs), inputs));
      const projected = [
        ...skips.map((skip, i) => this.controlnet_down_blocks[i]!.forward(skip)),
        this.controlnet_mid_block.forward(middle),
      ];
      const residuals = projected.map((residual, i) => {
        const scaled = residual.mul<tf.Tensor4D>(scale * (guessMode ? this.#guessScale(i) : 1));
        return this.config.global_pool_conditions ? scaled.mean<tf.Tensor4D>([1, 2], true) : scaled;
      });
      return { downResiduals: residuals.slice(0, -1), midResidual: residuals.at(-1)! };
    });
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    const { x, context, ...added } = conditionalInputs(this, noise);
    const [height, width] = [x.shape[1] * this.#factor, x.shape[2] * this.#factor];
    const cond = noise.normal<tf.Tensor4D>(height, width, this.config.conditioning_channels);
    return {
      forward: () => this.forward(x, EXAMPLE_TIME, context, cond, added).midResidual,
      inputs: { x, context, cond, ...added },
    };
  }

  /** How many times as high and wide as x the control picture is. */
  get #factor(): number {
    return 2 ** (this.config.conditioning_embedding_out_channels.length - 1);
  }

  /**
   * The scales of guess mode, from 0.1 for the first residual to 1 for the last, evenly spaced in the logarithm; 1 with
   * global pooling.
   */
  #guessScale(i: number): number {
    return this.config.global_pool_conditions ? 1 : 10 ** (i / this.controlnet_down_blocks.length - 1);
  }
}
