import { describe, expect, it } from "@jest/globals";
import {
  ENTRY_FILES,
  FLOORS,
  HEIGHTS,
  importsOf,
  isEntry,
  isTest,
  packageOf,
  folderOf,
  sourceFiles,
} from "./floors.mjs";

const files = sourceFiles();
const imports = importsOf(files);
const shown = ([file, target]) => `${file} -> ${target}`;

/** What a test may use of another package: its public names, and what the tests of a package below are helped by. */
function isPublic([file, target]) {
  const order = Object.keys(FLOORS);
  const isBelow = order.indexOf(packageOf(target)) < order.indexOf(packageOf(file));
  return isBelow && (isEntry(target) || (isTest(file) && target.includes("/testing/")));
}

/** Groups of files that import each other, directly or round a corner (Tarjan's strongly connected components). */
function circles(edges) {
  const targets = new Map();
  for (const [file, target] of edges) targets.set(file, [...(targets.get(file) ?? []), target]);
  const [found, order, lowest, path] = [[], new Map(), new Map(), []];
  const visit = (file) => {
    order.set(file, order.size);
    lowest.set(file, order.get(file));
    path.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!order.has(target)) visit(target);
      if (path.includes(target)) lowest.set(file, Math.min(lowest.get(file), lowest.get(target)));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const circle = path.splice(path.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of targets.keys()) if (!order.has(file)) visit(file);
  return found;
}

describe("Imports", () => {
  it("are found, and all lead to files that are there", () => {
    expect(imports.length).toBeGreaterThan(1500);
    expect(imports.filter(([, target]) => !files.includes(target)).map(shown)).toEqual([]);
  });

  it("start and end in folders that have a floor (scripts/floors.mjs)", () => {
    const listed = Object.entries(FLOORS).flatMap(([name, floors]) =>
      floors.flat().map((folder) => `${name}/${folder}`),
    );
    expect(listed.length).toBe(HEIGHTS.size); // none twice
    const folders = new Set(files.filter((file) => !isTest(file)).map(folderOf));
    expect([...folders].filter((folder) => !HEIGHTS.has(folder))).toEqual([]);
    expect([...HEIGHTS.keys()].filter((folder) => !folders.has(folder))).toEqual([]);
  });

  it("go down: a file imports from its own folder and from lower floors", () => {
    const upward = imports
      .filter(([file]) => !isTest(file))
      .filter(([file, target]) => folderOf(file) !== folderOf(target))
      .filter(([file, target]) => !(HEIGHTS.get(folderOf(target)) < HEIGHTS.get(folderOf(file))));
    expect(upward.map(shown)).toEqual([]);
  });

  it.each(Object.entries(ENTRY_FILES))("reach into %s through its entry", (folder, entry) => {
    const inward = imports.filter(
      ([file, target]) => folderOf(target) === folder && folderOf(file) !== folder && !isTest(file),
    );
    expect(inward.some(([, target]) => target === entry)).toBe(true);
    const others = inward.filter(([file, target]) => target !== entry && !isEntry(file));
    expect(others.map(shown)).toEqual([]);
  });

  it("reach into another package through its entries only, and into a package above never", () => {
    const foreign = imports.filter(([file, target]) => packageOf(file) !== packageOf(target));
    expect(foreign.filter((edge) => !isPublic(edge)).map(shown)).toEqual([]);
  });

  it("do not go in circles, not even for types", () => {
    expect(circles(imports)).toEqual([]);
  });

  it("would be found going in circles", () => {
    const edges = ["ab", "bc", "ca", "cd", "de", "ed"].map(([file, target]) => [file, target]);
    expect(circles(edges)).toEqual([
      ["d", "e"],
      ["a", "b", "c"],
    ]);
  });

  it("of a test, or of its helpers, are found in tests only", () => {
    const backwards = imports.filter(([file, target]) => isTest(target) && !isTest(file));
    expect(backwards.map(shown)).toEqual([]);
  });
});
