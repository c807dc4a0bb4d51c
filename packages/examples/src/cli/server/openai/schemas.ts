/** OpenAI's image API, as far as it can be meant here. Sizes, lengths and choices are those of its reference. */
import { type Static, Type } from "typebox";

/** Characters of a prompt. */
const LONGEST_PROMPT = 32_000;

const choice = <const T extends readonly string[]>(values: T, description: string) =>
  Type.Unsafe<T[number]>({ type: "string", enum: [...values], description });

/** What all three calls take. */
const COMMON = {
  model: Type.Optional(Type.String({ description: "A model of GET /v1/models. Default: the first." })),
  n: Type.Optional(Type.Integer({ minimum: 1, description: "How many pictures. Default: 1." })),
  size: Type.Optional(
    Type.String({
      pattern: "^(auto|[1-9]\\d{0,4}x[1-9]\\d{0,4})$",
      description: '"auto" (default), which is the model\'s own size, or width x height, such as "64x32".',
    }),
  ),
  response_format: Type.Optional(
    choice(["b64_json", "url"], "How pictures are returned. Default: in both ways. A URL is valid for a while."),
  ),
  user: Type.Optional(Type.String({ maxLength: 512, description: "Whose request it is: users are served in turn." })),
};

/** What generations and edits take. */
const DRAWN = {
  quality: Type.Optional(
    choice(
      ["auto", "standard", "low", "medium", "high", "hd"],
      "Half of the model's usual steps (low), the usual number, or twice as many (high, hd).",
    ),
  ),
  background: Type.Optional(choice(["auto", "opaque"], "Pictures are opaque.")),
  output_format: Type.Optional(choice(["png"], "Pictures are PNG files.")),
  stream: Type.Optional(Type.Boolean({ description: "Send events: partial pictures, then the picture." })),
  partial_images: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 3, description: "With stream: how many partial pictures. Default: 0." }),
  ),
};

const prompt = Type.String({ minLength: 1, maxLength: LONGEST_PROMPT, description: "What to draw." });
const strict = { additionalProperties: false };

export const Generation = Type.Object({ prompt, ...COMMON, ...DRAWN }, strict);
export type Generation = Static<typeof Generation>;

/** The fields of an edit's form besides its files, `image` and `mask`. */
export const Edit = Type.Object({ prompt, ...COMMON, ...DRAWN }, strict);
export type Edit = Static<typeof Edit>;

/** The fields of a variation's form besides its file, `image`. */
export const Variation = Type.Object(COMMON, strict);
export type Variation = Static<typeof Variation>;

const Picture = Type.Object({ b64_json: Type.Optional(Type.String()), url: Type.Optional(Type.String()) });

export const Pictures = Type.Object({
  created: Type.Integer({ description: "Seconds since 1970." }),
  data: Type.Array(Picture),
  background: Type.String(),
  output_format: Type.String(),
  quality: Type.String(),
  size: Type.String(),
});
export type Pictures = Static<typeof Pictures>;

export const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal("model"),
  created: Type.Integer(),
  owned_by: Type.String(),
});

export const ErrorBody = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    code: Type.Union([Type.String(), Type.Null()]),
  }),
});
