/**
 * Says what a file is that only has the name of a weights, config or vocabulary file, and what to do: a Git LFS pointer
 * or a web page. Undefined if its beginning shows neither.
 */
export function wrongFileHint(begin: string): string | undefined {
  if (begin.startsWith("version https://git-lfs")) {
    return "this is a Git LFS pointer and not the file itself. Run `git lfs pull` in that repository, or download the file";
  }
  if (/^\s*<(!|h|\?)/i.test(begin))
    return "this is a web page, probably an error message of a server. Download the file again";
  return undefined;
}
