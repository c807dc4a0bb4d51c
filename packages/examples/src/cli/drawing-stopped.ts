/** Thrown when the user stops a drawing. */
export class DrawingStopped extends Error {
  override name = "DrawingStopped";
}
