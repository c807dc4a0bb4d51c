import { isAutoencoder } from "../../models/autoencoder/autoencoder.js";
import { isConditionalDenoiser, isDenoiser } from "../../models/denoiser.js";
import { MissingWeightsError } from "../../nn/parameter.js";
import { PipelinePartsError } from "../options/errors.js";
import { A_SCHEDULER } from "../options/option.js";
import { isScheduler } from "../options/sampler-checks.js";
import { shown } from "../options/shown.js";

/** What a part must be: a test, and its description in error messages. */
export interface PartKind {
  readonly what: string;
  fits(part: unknown): boolean;
}

/** The kind of every part of a pipeline. */
export type PartKinds<P> = { readonly [Name in keyof P]-?: PartKind };

/** A part of a class. `what` names the class in errors, because minifiers rename classes. */
export function instanceOf(Class: abstract new (...args: never[]) => unknown, what: string): PartKind {
  return { what, fits: (part) => part instanceof Class };
}

/** A part that may be left out. */
export function optional({ what, fits }: PartKind): PartKind {
  return { what: `${what}, or undefined`, fits: (part) => part === undefined || fits(part) };
}

export const DENOISER: PartKind = {
  what: "a denoiser, such as a UNet2DModel",
  fits: (part) => isObject(part) && isDenoiser(part) && !isConditionalDenoiser(part),
};

export const CONDITIONAL_DENOISER: PartKind = {
  what: "a denoiser that reads a context, such as a UNet2DConditionModel",
  fits: (part) => isObject(part) && isConditionalDenoiser(part),
};

export const AUTOENCODER: PartKind = { what: "an AutoencoderKL or an AutoencoderTiny", fits: isAutoencoder };

export const SCHEDULER: PartKind = {
  what: A_SCHEDULER,
  fits: isScheduler,
};

export const SWITCH: PartKind = { what: "true or false", fits: (part) => typeof part === "boolean" };

function isObject(part: unknown): part is object {
  return typeof part === "object" && part !== null;
}

/**
 * A pipeline's parts, as an object whose properties can be assigned. A part that does not fit is refused at the
 * assignment, and the old part stays. To replace parts that only fit together, make a new pipeline of `{ ...parts,
 * unet, textEncoder }`; that copies no weights.
 *
 * @param own an object that only this pipeline uses
 * @param kinds what each part must be; other parts are refused
 * @param requireFitting throws a PipelinePartsError if the parts do not fit each other
 * @throws PipelinePartsError if the parts do not fit, here and at each assignment
 */
export function liveParts<P extends object>(
  pipeline: string,
  own: P,
  kinds: PartKinds<P>,
  requireFitting: (parts: P) => void,
): P {
  const check = (parts: P) => {
    requireKinds(pipeline, parts, kinds);
    requireFitting(parts);
  };
  check(own);
  return new Proxy(own, {
    set(parts, name, value) {
      check({ ...parts, [name]: value as unknown });
      return Reflect.set(parts, name, value);
    },
    deleteProperty(parts, name) {
      check({ ...parts, [name]: undefined });
      return Reflect.deleteProperty(parts, name);
    },
  });
}

/**
 * Keeps a pipeline's `parts` from being exchanged as a whole, which would take their checks away, and from being used
 * after {@link disposePipeline}. As every method reads the parts, this is the check of all methods.
 *
 * @param owner the pipeline whose `dispose` frees the parts
 * @throws PipelinePartsError at such an assignment, MissingWeightsError at such a use
 */
export function fixParts(pipeline: { readonly parts: object }, owner: object = pipeline): void {
  const { parts } = pipeline;
  Object.defineProperty(pipeline, "parts", {
    enumerable: true,
    get: () => {
      if (!disposed.has(owner)) return parts;
      throw new MissingWeightsError("This pipeline was disposed of: its weights are freed. Load it again to use it.");
    },
    set: () => {
      throw new PipelinePartsError(
        "pipeline.parts cannot be exchanged as a whole. Assign one of its parts, such as pipeline.parts.scheduler; or " +
          "construct another pipeline of { ...pipeline.parts, and the new ones }.",
      );
    },
  });
}

const disposed = new WeakSet<object>();

/** Frees the weights of all parts that have any, and ends the use of the pipeline. A second call does nothing. */
export function disposePipeline(pipeline: { readonly parts: object }): void {
  if (disposed.has(pipeline)) return;
  const { parts } = pipeline;
  disposed.add(pipeline);
  for (const part of Object.values(parts) as (Partial<{ dispose(): void }> | undefined)[]) part?.dispose?.();
}

function requireKinds<P extends object>(pipeline: string, parts: P, kinds: PartKinds<P>): void {
  const known = Object.keys(kinds) as (keyof P & string)[];
  const unknown = Object.keys(parts).filter((name) => !Object.hasOwn(kinds, name));
  if (unknown.length > 0) {
    throw new PipelinePartsError(
      `${pipeline}: ${unknown.join(", ")} is not one of its parts, which are ${known.join(", ")}.`,
    );
  }
  for (const name of known) {
    if (kinds[name].fits(parts[name])) continue;
    throw new PipelinePartsError(`${pipeline}: ${name} is ${shown(parts[name])}; expected ${kinds[name].what}.`);
  }
}
