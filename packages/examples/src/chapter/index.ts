export { check } from "./check.js";
export { exercise, predict, repair, reproduce, todo, type Answer } from "./exercise.js";
export { image, plot, show, table } from "./show.js";
export { hint, solution, type Hint, type Points } from "./solution.js";
