/** AUTOMATIC1111's API: the fields that are used, and those that clients send with values that change nothing. */
import { type Static, type TSchema, Type } from "typebox";

const LONGEST_PROMPT = 32_000;

const used = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** A field with the only values that mean what is done here; others are refused by name. */
const neutral = (...values: (string | number | boolean | null)[]) =>
  Type.Optional(Type.Unsafe<unknown>({ enum: [...values, null], description: "Only with this value." }));
const empty = {
  list: Type.Optional(Type.Union([Type.Array(Type.Unknown(), { maxItems: 0 }), Type.Null()])),
  object: Type.Optional(Type.Union([Type.Object({}, { additionalProperties: false }), Type.Null()])),
};
/** A field that matters only beside another, which is refused. */
const idle = Type.Optional(Type.Unknown({ description: "Without effect here." }));

const text = Type.String({ maxLength: LONGEST_PROMPT });
const side = Type.Integer({ minimum: 1, maximum: 65_536 });
const count = Type.Integer({ minimum: 1 });

export const Overrides = Type.Object(
  {
    sd_model_checkpoint: used(Type.String({ description: "A title or a name of GET /sd-models." })),
    CLIP_stop_at_last_layers: used(Type.Integer({ minimum: 1, maximum: 12, description: "Clip skip." })),
    samples_format: neutral("png"),
    eta_noise_seed_delta: neutral(0),
  },
  { additionalProperties: false },
);
export type Overrides = Static<typeof Overrides>;

const DRAWN = {
  prompt: used(text),
  negative_prompt: used(text),
  seed: used(Type.Integer({ minimum: -1, maximum: 2 ** 32 - 1, description: "-1 (default): any." })),
  sampler_name: used(Type.String({ description: "A name of GET /samplers. Default: the model's own." })),
  sampler_index: used(Type.String({ description: "An older name of sampler_name." })),
  scheduler: used(Type.String({ description: "A name or label of GET /schedulers." })),
  batch_size: used(count),
  n_iter: used(count),
  steps: used(count),
  cfg_scale: used(Type.Number({ minimum: 0, maximum: 100 })),
  width: used(side),
  height: used(side),
  eta: used(Type.Number({ minimum: 0, maximum: 1 })),
  override_settings: used(Overrides),
  send_images: used(Type.Boolean()),

  // Values that change nothing; others would need what is not here.
  alwayson_scripts: empty.object,
  comments: empty.object,
  do_not_save_grid: idle,
  do_not_save_samples: idle,
  override_settings_restore_afterwards: idle,
  disable_extra_networks: idle,
  refiner_checkpoint: neutral(""),
  refiner_switch_at: idle,
  restore_faces: neutral(false),
  s_churn: neutral(0),
  s_min_uncond: neutral(0),
  s_noise: neutral(1),
  s_tmax: idle,
  s_tmin: neutral(0),
  save_images: neutral(false),
  script_args: empty.list,
  script_name: neutral(""),
  seed_resize_from_h: neutral(-1, 0),
  seed_resize_from_w: neutral(-1, 0),
  styles: empty.list,
  subseed: idle,
  subseed_strength: neutral(0),
  tiling: neutral(false),
};

const strict = { additionalProperties: false };

export const TextToImage = Type.Object(
  {
    ...DRAWN,
    denoising_strength: idle, // For enable_hr.
    enable_hr: neutral(false),
    firstphase_height: neutral(0),
    firstphase_width: neutral(0),
    hr_checkpoint_name: idle,
    hr_negative_prompt: idle,
    hr_prompt: idle,
    hr_resize_x: idle,
    hr_resize_y: idle,
    hr_sampler_name: idle,
    hr_scale: idle,
    hr_scheduler: idle,
    hr_second_pass_steps: idle,
    hr_upscaler: idle,
  },
  strict,
);
export type TextToImage = Static<typeof TextToImage>;

export const ImageToImage = Type.Object(
  {
    ...DRAWN,
    init_images: Type.Array(Type.String(), { minItems: 1, maxItems: 1, description: "One picture, in base64." }),
    denoising_strength: used(Type.Number({ minimum: 0, maximum: 1 })),
    resize_mode: used(
      Type.Unsafe<0 | 1>({
        enum: [0, 1],
        description: "0 (default): stretch the picture. 1: cut it to the new shape.",
      }),
    ),
    mask: used(Type.String({ description: "A picture in base64: white is drawn anew." })),
    mask_blur: used(Type.Integer({ minimum: 0, maximum: 64 })),
    inpaint_full_res: used(
      Type.Boolean({ description: "Draw only the part around the mask, enlarged. Default: true." }),
    ),
    inpaint_full_res_padding: used(Type.Integer({ minimum: 0, maximum: 4096 })),
    inpainting_fill: used(Type.Integer({ minimum: 0, maximum: 3, description: "With a mask: 1, the picture itself." })),
    inpainting_mask_invert: used(Type.Unsafe<0 | 1>({ enum: [0, 1] })),
    image_cfg_scale: idle,
    include_init_images: idle,
    initial_noise_multiplier: neutral(1),
    latent_mask: neutral(),
    mask_blur_x: neutral(4),
    mask_blur_y: neutral(4),
    mask_round: neutral(true),
  },
  strict,
);
export type ImageToImage = Static<typeof ImageToImage>;

export const PngInfo = Type.Object({ image: Type.String({ description: "A PNG file in base64." }) }, strict);
