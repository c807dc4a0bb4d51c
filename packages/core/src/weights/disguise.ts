/**
 * What a file is that was looked for under this name and is something else, with the remedy; undefined if its beginning
 * does not tell.
 */
export function disguise(begin: string): string | undefined {
  if (begin.startsWith("version https://git-lfs")) {
    return "this is a Git LFS pointer and not the file itself. Run `git lfs pull` in that repository, or download the file";
  }
  if (/^\s*<(!|h|\?)/i.test(begin))
    return "this is a web page, probably an error message of a server. Download the file again";
  return undefined;
}
