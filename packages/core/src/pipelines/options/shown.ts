import * as tf from "@tensorflow/tfjs";

/** A value in an error message; lists inside lists are shortened. */
export function shown(value: unknown, isInside = false): string {
  if (value instanceof tf.Tensor) {
    const { isDisposed, shape, dtype } = value as tf.Tensor;
    const kind = dtype === "float32" || dtype === "int32" ? "" : ` of ${dtype}`;
    return isDisposed ? "a disposed tensor" : `a tensor [${shape.join(", ")}]${kind}`;
  }
  if (Array.isArray(value)) return isInside ? `a list of ${value.length}` : listShown(value);
  if (value instanceof Promise) return "a promise";
  if (typeof value === "function") return `a function (${value.name || "without a name"})`;
  return typeof value === "object" && value !== null ? objectShown(value) : String(value);
}

/** As many items as a person reads. */
const MOST_ITEMS = 10;

function listShown(list: readonly unknown[]): string {
  const items = list.slice(0, MOST_ITEMS).map((one) => shown(one, true));
  const text = `${items.join(",")}${list.length > MOST_ITEMS ? `,… ${list.length} in all` : ""}`;
  return list.some((one) => typeof one === "string") ? text : `[${text}]`;
}

function objectShown(value: object): string {
  const className = classNameOf(value);
  if (className !== "Object") return `an object of the class ${className}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? "{}" : `{ ${keys.slice(0, 5).join(", ")}${keys.length > 5 ? ", …" : ""} }`;
}

/** The name of an object's class; "Object" for a plain object. */
export function classNameOf(value: object): string {
  const { constructor } = value as { constructor?: { name?: string } };
  return constructor?.name || "Object";
}
