import { type OptionTable, type PipelineInput, takesOption } from "@tfjs-diffusion/core/pipelines";
import type { PictureArguments } from "./picture-arguments.js";
import { FLAGS, flagOf, type TableValues } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/** The flags of options whose values are read from files or made from a name. */
const MADE: Readonly<Record<string, string>> = {
  image: "--init",
  mask: "--mask",
  control: "--controlnet",
  adapter: "--adapter",
  ipAdapter: "--ip-adapter",
  scheduler: "--sampler",
};

/** How a command line writes a pipeline's option; undefined if it cannot. */
export function writtenOption(option: string): string | undefined {
  return Object.hasOwn(MADE, option) ? MADE[option] : flagOf(option);
}

/**
 * Compares a command line with the options that its pipeline takes. Nothing is known of a pipeline but its table.
 *
 * @throws UsageError for an option that it does not take, for a prompt that it does not read, and for a missing prompt
 */
export function fitToPipeline(args: PictureArguments, kind: { name: string; options: OptionTable }): void {
  const { model, prompts, image, mask, outpaint, control, adapter, ipAdapter, sampler } = args;
  const readsPrompts = takesOption(kind.options, "prompt");
  if (readsPrompts && prompts.length === 0)
    throw new UsageError(
      `${model}: a ${kind.name} draws from a prompt; write one after the model, in quotation marks.`,
    );
  if (!readsPrompts && prompts.length > 0)
    throw new UsageError(`${model}: a ${kind.name} reads no prompt; leave "${prompts[0]}" out.`);
  const made = { image, mask: mask ?? outpaint, control, adapter, ipAdapter, scheduler: sampler };
  const given = Object.entries({ ...args.options, ...made }).filter(([, value]) => value !== undefined);
  const refused = given.map(([option]) => option).filter((option) => !takesOption(kind.options, option));
  if (refused.length === 0) return;
  const written = refused.map((option) => (option === "mask" && outpaint ? "--outpaint" : writtenOption(option)));
  throw new UsageError(
    `${model}: a ${kind.name} does not take ${written.join(", ")}. It takes ${taken(kind.options).join(", ")}.`,
  );
}

/** The flags that fit a table. */
function taken(options: OptionTable): string[] {
  const flags = [...FLAGS].filter(([, { option }]) => takesOption(options, option)).map(([name]) => `--${name}`);
  return [...flags, ...Object.keys(MADE).flatMap((option) => (takesOption(options, option) ? [MADE[option]!] : []))];
}

/**
 * The options of a drawing, without those that were not given.
 *
 * @param options those of the pipeline's table
 * @param made values that were read from files or made from a name, by their options
 */
export function pipelineOptions(
  { paste, outpaint }: Pick<PictureArguments, "paste" | "outpaint">,
  options: TableValues,
  made: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  // An extended picture is larger than the requested size, which is its size before.
  const size = outpaint ? { width: undefined, height: undefined } : {};
  const all = { ...options, ...size, ...made, pasteBack: paste || undefined };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/**
 * Checks that a command line gives what an opened pipeline draws from; whether a network has classes, its config says.
 *
 * @throws UsageError if it does not
 */
export function requireInput({ model, image, options }: PictureArguments, input: PipelineInput): void {
  const missing = {
    text: false,
    image: image === undefined && "a picture: add --init FILE.png",
    class: options.classLabels === undefined && "a class: add --class N",
    nothing: false,
  }[input];
  if (missing) throw new UsageError(`${model}: this model draws from ${missing}.`);
}
