/**
 * The library that wrote a network's config, and the class that the config names: `_class_name` in diffusers,
 * `architectures` in transformers.
 */
export function libraryAndClass(config: object): { library: "diffusers" | "transformers"; className?: string } {
  const { _class_name: name, architectures } = config as { _class_name?: unknown; architectures?: unknown };
  const library = name === undefined ? "transformers" : "diffusers";
  const className: unknown = name ?? [architectures].flat()[0];
  return typeof className === "string" ? { library, className } : { library };
}
