/** A fault, the evidence for it, and what to do. */
export interface Fault {
  readonly kind: "data" | "settings" | "network" | "target" | "input" | "time" | "untrained" | "average" | "steps";
  readonly evidence: string;
  readonly remedy: string;
}
