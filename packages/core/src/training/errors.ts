/** Thrown when the loss or a gradient is not finite. The parameters are as they were before that step. */
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

/** Thrown when training is stopped before its last step. If there is a checkpoint, it has been saved. */
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

/** Thrown when a checkpoint cannot be written. The previous one is untouched. */
export class CheckpointWriteError extends Error {
  override name = "CheckpointWriteError";
}

/** Thrown when another training, which still runs, writes the same checkpoint. */
export class TrainingLockedError extends Error {
  override name = "TrainingLockedError";
}

/** Thrown when the bytes of a checkpoint are not those that were written. */
export class DamagedCheckpointError extends Error {
  override name = "DamagedCheckpointError";
}

/**
 * Thrown when a checkpoint belongs to another run: other settings, other parameters, or another version of the format.
 */
export class CheckpointMismatchError extends Error {
  override name = "CheckpointMismatchError";
}
