import * as tf from "@tensorflow/tfjs";
import { activation } from "../../nn/activations.js";
import { Conv2d } from "../../nn/conv2d.js";
import { GroupNorm } from "../../nn/group-norm.js";
import { recorded } from "../../nn/recorded.js";
import { requireTensor } from "../checks.js";
import type { ConditionalDenoiser, ConditionalDenoiserInputs, ContextAttention } from "../denoiser.js";
import { ModelInputError } from "../errors.js";
import { attentionLayers } from "./attention-layers.js";
import { attentionFactory } from "./unet-2d-condition-attention.js";
import { resolveConditionConfig, type UNet2DConditionConfig } from "./unet-2d-condition-config.js";
import { ConditionEncoder, type Vectors } from "./unet-2d-condition-encoder.js";
import { freeULevel } from "../free-u.js";
import { contextAttentions, namedStates, statesByLayer } from "./image-states.js";
import { sidesOf } from "./sample-size.js";
import { UpBlock } from "./unet-blocks.js";

/** Inputs of the UNet besides x, t and context; the config decides which it reads. Borrowed. */
export type UNet2DConditionInputs = ConditionalDenoiserInputs;

/**
 * The denoiser of Stable Diffusion (Rombach et al. 2022) and its relatives: a UNet (Ronneberger et al. 2015) of
 * residual and attention blocks that reads noisy latents, the time and the text. SD1, SD2, SDXL, LCM, inpainting, the
 * 4x upscaler and unCLIP's decoder differ only in their config.
 *
 * forward: x [B, H, W, in_channels], t a number or [B], context [B, L, cross_attention_dim] -> [B, H, W, out_channels];
 * H and W may be any size, also odd.
 */
export class UNet2DConditionModel extends ConditionEncoder implements ConditionalDenoiser {
  readonly config: UNet2DConditionConfig;
  readonly up_blocks: UpBlock[];
  readonly conv_norm_out: GroupNorm;
  readonly conv_out: Conv2d;

  constructor(config: Partial<UNet2DConditionConfig> = {}) {
    super("UNet2DConditionModel", resolveConditionConfig(config));
    this.config = this.unet;
    const { norm_num_groups: groups, norm_eps: eps, out_channels, conv_out_kernel: kernel } = this.config;
    const levels = this.levels;
    const first = levels[0]!.channels;
    this.up_blocks = levels
      .map((level, i) => {
        const inChannels = (levels[i + 1] ?? level).channels;
        const finer = (levels[i - 1] ?? level).channels;
        const isResnet = level.upType === "ResnetUpsampleBlock2D" || level.upType === "SimpleCrossAttnUpBlock2D";
        // The last skip of a level comes from the next finer level.
        const skipChannels = [...Array<number>(level.layers).fill(level.channels), finer];
        return new UpBlock(inChannels, level.channels, skipChannels, {
          resnet: this.resnetOptions(),
          attention: attentionFactory(
            this.unet,
            { ...level, headSetting: level.upHeadSetting },
            level.upType,
            level.upTransformers,
          ),
          resampling: i === 0 ? null : isResnet ? "resnet" : "conv",
        });
      })
      .reverse();
    this.conv_norm_out = new GroupNorm(groups, first, eps);
    this.conv_out = new Conv2d(first, out_channels, { kernel });
  }

  readonly isAdjustable = true;

  get outChannels(): number {
    return this.config.out_channels;
  }

  get sampleSize(): [height: number, width: number] | undefined {
    return sidesOf(this.config.sample_size);
  }

  get selfAttentions(): string[] {
    return [...attentionLayers(this).self.keys()];
  }

  contextAttentions(height: number, width: number): ContextAttention[] {
    return contextAttentions(this, this.featureMaps(height, width));
  }

  get guidanceWidth(): number | undefined {
    return this.config.time_cond_proj_dim ?? undefined;
  }

  /** Borrows its arguments; the caller owns the result. Throws ModelInputError before any work. */
  forward(
    x: tf.Tensor4D,
    t: number | tf.Tensor1D,
    context: tf.Tensor3D,
    inputs: UNet2DConditionInputs = {},
  ): tf.Tensor4D {
    this.checkInputs(x, t, context, inputs);
    this.#checkResiduals(x, inputs);
    this.#checkFeatures(x, inputs);
    return tf.tidy(() => {
      const {
        classLabels: _,
        timeIds: __,
        downResiduals,
        levelFeatures,
        freeU,
        perturbedLayers,
        imageStates,
        ...read
      } = inputs;
      const vectors = this.vectors(t, inputs);
      // A recorded pass would be replayed with the settings it was recorded with.
      if (freeU || perturbedLayers || levelFeatures) return this.#predict(x, context, vectors, inputs);
      const added = Object.fromEntries(downResiduals?.map((residual, i) => [`downResiduals.${i}`, residual]) ?? []);
      return recorded(this, { x, context, ...vectors, ...read, ...added, ...namedStates(imageStates) }, () =>
        this.#predict(x, context, vectors, inputs),
      );
    });
  }

  #predict(x: tf.Tensor4D, context: tf.Tensor3D, vectors: Vectors, inputs: UNet2DConditionInputs): tf.Tensor4D {
    const { downResiduals, midResidual, levelFeatures, freeU, perturbedLayers, imageStates } = inputs;
    const conditioning = {
      ...this.conditioning(x, context, vectors, inputs),
      perturbed: perturbedLayers && this.#selfAttentions(perturbedLayers),
      pictures: imageStates && statesByLayer(this, imageStates, x.shape),
    };
    const input = this.config.center_input_sample ? x.mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1) : x;
    const { skips: own, middle } = this.encode(this.conv_in.forward(input), conditioning, levelFeatures);
    const skips = own.map((skip, i): tf.Tensor4D => (downResiduals ? skip.add(downResiduals[i]!) : skip));
    let h = midResidual ? middle.add<tf.Tensor4D>(midResidual) : middle;
    for (const [i, block] of this.up_blocks.entries())
      h = block.forward(h, conditioning, skips, freeU && freeULevel(freeU, i));
    return this.conv_out.forward(this.conv_norm_out.forward(h, activation(this.config.act_fn)));
  }

  /** @throws ModelInputError for a name that is none of `selfAttentions` */
  #selfAttentions(names: readonly string[]): ReadonlySet<object> {
    const { self } = attentionLayers(this);
    return new Set(
      names.map((name) => {
        const layer = self.get(name);
        if (layer) return layer;
        const known = [...self.keys()].join(", ") || "none";
        throw new ModelInputError(`${this.name}: perturbedLayers has ${name}; its self-attention layers are ${known}.`);
      }),
    );
  }

  /** Features have the shapes of the levels they are added to; the batch may be 1. */
  #checkFeatures({ shape: [batch, height, width] }: tf.Tensor4D, { levelFeatures }: UNet2DConditionInputs): void {
    if (!levelFeatures) return;
    const blocks = this.down_blocks;
    if (levelFeatures.length !== blocks.length && levelFeatures.length !== blocks.length + 1) {
      throw new ModelInputError(
        `${this.name}: ${levelFeatures.length} levelFeatures were given, and this UNet has ${blocks.length} levels. Take an adapter that was made for it.`,
      );
    }
    const maps = this.featureMaps(height, width);
    let end = 0;
    const sizes = blocks.map(({ resnets, downsamplers, attentions }) => {
      end += resnets.length + (downsamplers ? 1 : 0);
      return maps[attentions && downsamplers ? end - 1 : end]!;
    });
    for (const [i, feature] of levelFeatures.entries())
      requireTensor(this.name, `levelFeatures[${i}]`, feature, {
        shape: [feature.shape[0] === 1 ? 1 : batch, ...(sizes[i] ?? maps.at(-1)!)],
        axes: "[B, H, W, C]",
        hint: "Take an adapter that was made for this UNet.",
      });
  }

  /** Residuals have the shapes of the feature maps they are added to; an axis of size 1 is broadcast. */
  #checkResiduals(
    { shape: [batch, height, width] }: tf.Tensor4D,
    { downResiduals, midResidual }: UNet2DConditionInputs,
  ) {
    if (!downResiduals && !midResidual) return;
    const maps = this.featureMaps(height, width);
    const kept = maps.slice(0, -1);
    if (downResiduals && downResiduals.length !== kept.length) {
      throw new ModelInputError(
        `${this.name}: ${downResiduals.length} downResiduals were given; expected ${kept.length}, one for each feature map. ${OTHER_CONTROLNET}`,
      );
    }
    const check = (name: string, residual: tf.Tensor4D, sizes: readonly number[]) =>
      requireTensor(this.name, name, residual, {
        shape: [batch, ...sizes].map((size, axis) => (residual.shape[axis] === 1 ? 1 : size)),
        axes: "[B, H, W, C]",
        hint: OTHER_CONTROLNET,
      });
    for (const [i, residual] of (downResiduals ?? []).entries()) check(`downResiduals[${i}]`, residual, kept[i]!);
    if (midResidual) check("midResidual", midResidual, maps.at(-1)!);
  }
}

const OTHER_CONTROLNET = "Use a ControlNet that was trained for this UNet.";
