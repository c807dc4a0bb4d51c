import type * as tf from "@tensorflow/tfjs";
import { requireTensor } from "../checks.js";
import type { ContextAttention, ImageStates } from "../denoiser.js";
import { ModelInputError } from "../errors.js";
import { attentionLayers } from "./attention-layers.js";
import type { ConditionEncoder } from "./unet-2d-condition-encoder.js";
import type { UpBlock } from "./unet-blocks.js";

type UNet = Pick<ConditionEncoder, "name" | "down_blocks" | "mid_block" | "featureMaps"> & {
  up_blocks: readonly UpBlock[];
};
type StatesByName = Readonly<Record<string, readonly ImageStates[]>>;

/**
 * The layers of attention to the context, in diffusers' order.
 *
 * @param maps the sizes of the skip connections and of the middle block's output, see `featureMaps`
 */
export function contextAttentions(
  unet: Omit<UNet, "name" | "featureMaps">,
  maps: readonly (readonly [number, number, number])[],
): ContextAttention[] {
  let first = 1; // Of a level's skip connections; the very first comes from conv_in.
  const levels = unet.down_blocks.map(({ resnets, downsamplers }) => {
    const map = maps[first];
    first += resnets.length + (downsamplers ? 1 : 0);
    return map;
  });
  return [...attentionLayers(unet).context].map(([name, { channels }]) => {
    const [, side, block] = /^(down|up|mid)_blocks?(?:\.(\d+))?/.exec(name)!;
    const map = side === "mid" ? maps.at(-1) : side === "down" ? levels[Number(block)] : levels.at(-1 - Number(block));
    const [rows, columns] = map!;
    return { name, shape: [rows, columns, channels] };
  });
}

/**
 * The states by the layers that read them, for an x of this shape.
 *
 * @throws ModelInputError for a layer that is none of `contextAttentions`, and for states that do not fit it
 */
export function statesByLayer(
  unet: UNet,
  imageStates: StatesByName,
  [batch, height, width]: readonly [number, number, number, number],
): ReadonlyMap<object, readonly ImageStates[]> {
  const { context } = attentionLayers(unet);
  const shapes = new Map(
    contextAttentions(unet, unet.featureMaps(height, width)).map(({ name, shape }) => [name, shape]),
  );
  return new Map(
    Object.entries(imageStates).map(([name, states]) => {
      const layer = context.get(name);
      if (!layer) {
        const known = [...context.keys()].join(", ") || "none";
        throw new ModelInputError(
          `${unet.name}: imageStates has ${name}; its layers of attention to the context are ${known}.`,
        );
      }
      const [rows, columns, channels] = shapes.get(name)!;
      for (const { keys, values, mask } of states) {
        const place = `imageStates of ${name}`;
        requireTensor(unet.name, `${place}, keys`, keys, { shape: [batch, null, channels], axes: "[B, T, C]" });
        requireTensor(unet.name, `${place}, values`, values, { shape: keys.shape, axes: "[B, T, C]" });
        if (!mask) continue;
        const shape = [mask.shape[0] === 1 ? 1 : batch, rows * columns, 1];
        requireTensor(unet.name, `${place}, mask`, mask, { shape, axes: "[B, H W, 1]" });
      }
      return [layer, states];
    }),
  );
}

/** All tensors of the states, each with a name of its own. */
export function namedStates(imageStates: StatesByName = {}): Record<string, tf.Tensor | undefined> {
  const named = Object.entries(imageStates).flatMap(([layer, states]) =>
    states.flatMap(({ keys, values, mask }, i) =>
      Object.entries({ keys, values, mask }).map(([what, tensor]) => [`${layer}.${i}.${what}`, tensor] as const),
    ),
  );
  return Object.fromEntries(named);
}
