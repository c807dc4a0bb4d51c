import type { RandomNumbers } from "@tfjs-diffusion/schedulers";

/** A point of the plane, and the class that it belongs to. */
export interface PlanePoint {
  readonly at: readonly [x: number, y: number];
  readonly label: number;
}

/** Data of two numbers: small enough to train on in seconds, and to see. All lie in [-1, 1]. */
export interface PlaneSet {
  readonly classes: number;
  draw(random: RandomNumbers): PlanePoint;
}

/** One standard normal number (Box & Muller 1958). */
const normal = (random: RandomNumbers) =>
  Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());

/** Two half circles that reach into each other: two classes. */
const moons: PlaneSet = {
  classes: 2,
  draw(random) {
    const [label, angle] = [random.integer(2), Math.PI * random.uniform()];
    const [x, y] = label === 0 ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    return { at: [(x - 0.5) / 1.7 + 0.03 * normal(random), (y - 0.25) / 1.7 + 0.03 * normal(random)], label };
  },
};

/** Eight narrow bells on a circle: eight classes. */
const bells: PlaneSet = {
  classes: 8,
  draw(random) {
    const label = random.integer(8);
    const angle = (2 * Math.PI * label) / 8;
    const at = (side: number) => 0.75 * side + 0.04 * normal(random);
    return { at: [at(Math.cos(angle)), at(Math.sin(angle))], label };
  },
};

/** A line that winds around the middle: its inner and its outer half are two classes. */
const spiral: PlaneSet = {
  classes: 2,
  draw(random) {
    const way = Math.sqrt(random.uniform());
    const angle = 3 * Math.PI * way;
    const at = (side: number) => 0.85 * way * side + 0.015 * normal(random);
    return { at: [at(Math.cos(angle)), at(Math.sin(angle))], label: way < Math.SQRT1_2 ? 0 : 1 };
  },
};

export const PLANE_SETS: Readonly<Record<string, PlaneSet>> = { moons, bells, spiral };
