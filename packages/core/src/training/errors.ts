/** The loss or a gradient is no longer a number; the parameters are as they were before that step. */
export class NonFiniteError extends Error {
  override name = "NonFiniteError";
  constructor(
    message: string,
    readonly step: number,
    /** The first parameter, in the model's order, whose value or gradient is not finite. */
    readonly parameter: string | undefined,
  ) {
    super(message);
  }
}

/** Training was asked to stop before its last step; what was reached has been saved if there is a checkpoint. */
export class TrainingInterruptedError extends Error {
  override name = "TrainingInterruptedError";
  constructor(
    message: string,
    /** Steps finished. */
    readonly step: number,
  ) {
    super(message);
  }
}

/** A checkpoint could not be written; the one before it is untouched. */
export class CheckpointWriteError extends Error {
  override name = "CheckpointWriteError";
}

/** A checkpoint's bytes are not those that were written. */
export class DamagedCheckpointError extends Error {
  override name = "DamagedCheckpointError";
}

/** A checkpoint belongs to another run: other settings, other parameters, or another version of its format. */
export class CheckpointMismatchError extends Error {
  override name = "CheckpointMismatchError";
}
