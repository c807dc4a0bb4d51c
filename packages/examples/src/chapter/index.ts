export { check, exercise, todo, type Answer } from "./check.js";
export { image, plot, show, table } from "./show.js";
