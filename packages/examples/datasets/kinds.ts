import { type FaceKind, FACES } from "./faces/index.js";
import { PORTRAITS } from "./portraits/index.js";
import { PORTRAITS_2 } from "./portraits-2/index.js";

const KINDS: Record<string, FaceKind> = { faces: FACES, portraits: PORTRAITS, "portraits-2": PORTRAITS_2 };

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
