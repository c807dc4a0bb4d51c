/**
 * Recognises a file that is not what its name says, by its first characters: a Git LFS pointer or a web page. Returns
 * what it is and what to do; undefined if it is neither.
 */
export function wrongFileHint(begin: string): string | undefined {
  if (begin.startsWith("version https://git-lfs")) {
    return "this is a Git LFS pointer and not the file itself. Run `git lfs pull` in that repository, or download the file";
  }
  if (/^\s*<(!|h|\?)/i.test(begin))
    return "this is a web page, probably an error message of a server. Download the file again";
  return undefined;
}
