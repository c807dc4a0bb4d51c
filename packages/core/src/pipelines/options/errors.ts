/**
 * Thrown for an option that a pipeline cannot use. The message says what was given, what is expected, and what to do.
 */
export class PipelineOptionError extends RangeError {
  override name = "PipelineOptionError";
}

/** Thrown when a folder does not hold the parts of the pipeline that opens it. */
export class PipelineFolderError extends Error {
  override name = "PipelineFolderError";
}

/** Thrown when the parts of a pipeline do not fit each other. */
export class PipelinePartsError extends Error {
  override name = "PipelinePartsError";
}
