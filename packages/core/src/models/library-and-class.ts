/**
 * The library that a network's config comes from, and the class it names there: configs of diffusers say
 * `_class_name`, those of transformers `architectures`.
 */
export function libraryAndClass(config: object): { library: "diffusers" | "transformers"; className?: string } {
  const { _class_name: name, architectures } = config as { _class_name?: unknown; architectures?: unknown };
  const library = name === undefined ? "transformers" : "diffusers";
  const className: unknown = name ?? [architectures].flat()[0];
  return typeof className === "string" ? { library, className } : { library };
}
