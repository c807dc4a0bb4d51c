import { type FaceKind, FACES } from "./faces/index.js";
import { PORTRAITS } from "./portraits/index.js";
import { PORTRAITS_2 } from "./portraits-2/index.js";

/** The portraits are those that the shipped model was trained on; the first captions are those of its forerunner. */
const KINDS: Record<string, FaceKind> = { faces: FACES, portraits: PORTRAITS_2, "portraits-1": PORTRAITS };

export const KIND_NAMES = Object.keys(KINDS);

/**
 * The data set that a script's `--kind` names.
 *
 * @throws RangeError for an unknown name
 */
export function kindNamed(name: string): FaceKind {
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind) return kind;
  throw new RangeError(`--kind is "${name}"; give one of ${KIND_NAMES.join(", ")}.`);
}
