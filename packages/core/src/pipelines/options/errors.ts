/** A pipeline was asked for something it cannot do: the message says what was given, what it takes, and what to do. */
export class PipelineOptionError extends RangeError {
  override name = "PipelineOptionError";
}

/** A folder does not hold the parts of the pipeline it was opened as. */
export class PipelineFolderError extends Error {
  override name = "PipelineFolderError";
}

/** The parts of a pipeline do not fit each other. */
export class PipelinePartsError extends Error {
  override name = "PipelinePartsError";
}
