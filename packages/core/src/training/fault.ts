/** Something that is wrong, how that is known, and what to do. */
export interface Fault {
  readonly kind: "data" | "settings" | "network" | "target" | "input" | "time" | "untrained" | "average" | "steps";
  readonly evidence: string;
  readonly remedy: string;
}
