/** A chapter's file is not in cells, or asks for something that cannot be shown. */
export class ChapterError extends Error {
  override name = "ChapterError";
}

/** A number of a chapter, or a reader's answer, is not what it should be. */
export class CheckError extends Error {
  override name = "CheckError";
}
