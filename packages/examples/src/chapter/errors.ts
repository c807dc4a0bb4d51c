/** Thrown if a chapter's file is not divided into cells, or shows something that cannot be shown. */
export class ChapterError extends Error {
  override name = "ChapterError";
}

/** Thrown if there is no chapter of a name or number. */
export class NoChapterError extends Error {
  override name = "NoChapterError";
}

/** Thrown if a number of a chapter, or a reader's answer, is wrong. */
export class CheckError extends Error {
  override name = "CheckError";
}
