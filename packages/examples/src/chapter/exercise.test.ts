import { beforeEach, describe, expect, it } from "@jest/globals";
import { ChapterError } from "./errors.js";
import {
  attemptsSoFar,
  beginChapter,
  exercise,
  exerciseSummary,
  matchSolutions,
  predict,
  repair,
  reproduce,
  todo,
} from "./exercise.js";
import type { Output } from "./output.js";
import { redirectOutput } from "./sink.js";
import { collectSolutions, hint, solution } from "./solution.js";

type Root = (x: number) => number;

/** A file of solutions. */
const solve = async () => {
  await solution("half", 0.5, 0.1);
  const root: Root = Math.sqrt;
  await solution("root", root, (given) => hint("the root of 9", given(9), 3, 1e-9), [(x) => x / 4]);
  const line = [
    [0, 0],
    [1, 2],
  ] as const;
  await solution("line", line, 0.1);
};

let shown: Output[];
let loaded: string[];
beforeEach(() => {
  shown = [];
  loaded = [];
  redirectOutput((output) => shown.push(output));
  beginChapter("07-roots", (name) => {
    loaded.push(name);
    return solve();
  });
});

describe("exercise", () => {
  it("reminds of an answer that is to do, and does not execute the solutions", async () => {
    await exercise("half", todo);
    expect(shown).toEqual([{ kind: "exercise", state: "todo", text: "half: your turn" }]);
    expect(loaded).toEqual([]);
  });

  it("judges a number by the chapter's solutions, and shows nothing else of them", async () => {
    await exercise("half", 0.55);
    expect(shown).toEqual([{ kind: "exercise", state: "right", text: "half: 0.55 is right" }]);
    expect(loaded).toEqual(["07-roots"]);
  });

  it.each([
    [0.25, "half: 0.25 is not right yet: it is too small"],
    [2, "half: 2 is not right yet: it is too large"],
    [Infinity, "half: Infinity is not right yet: it is too large"],
    [NaN, "half: NaN is not right yet: it is not a number"],
    [Math.sqrt, "half: your answer is not right yet: it must be a number"],
  ])("gives a hint for %p, not the answer, and goes on", async (wrong, text) => {
    await exercise("half", wrong);
    expect(shown).toEqual([{ kind: "exercise", state: "wrong", text }]);
  });

  it("calls a function that the reader wrote", async () => {
    await exercise("root", Math.sqrt);
    await exercise("root", (x: number) => x / 2);
    await exercise("root", () => {
      throw new Error("not yet");
    });
    await exercise("root", 3);
    expect(shown.map((output) => "text" in output && output.text)).toEqual([
      "root: your answer is right",
      "root: your answer is not right yet: the root of 9 is too large",
      "root: your answer is not right yet: it throws: not yet",
      "root: 3 is not right yet: it must be a function",
    ]);
    expect(loaded).toEqual(["07-roots"]); // once for all
  });

  it("says which exercises have a solution where one has none", async () => {
    await expect(exercise("third", 1 / 3)).rejects.toThrow(
      'exercise "third": chapters/solutions/07-roots.ts has no solution of this name. It has: half, root, line.',
    );
  });
});

describe("beginChapter", () => {
  it("does not execute a chapter's solutions again, which a module would not do", async () => {
    let executed = 0;
    const load = async () => {
      executed++;
      await solve();
    };
    for (let i = 0; i < 2; i++) {
      beginChapter("09-again", load);
      await exercise("half", 0.5);
    }
    expect(executed).toBe(1);
    expect(shown).toHaveLength(2);
  });
});

describe("predict", () => {
  it("does not show the number before it is predicted", () => {
    predict("half", todo, 0.5, 0.1);
    expect(shown).toEqual([
      { kind: "exercise", state: "todo", text: "half: predict it; the number is shown afterwards" },
    ]);
  });

  it("shows both numbers, and takes a prediction that is off as no mistake", () => {
    predict("half", 0.45, 0.5, 0.1);
    predict("half", 2, 0.5, 0.1);
    expect(shown).toEqual([
      { kind: "exercise", state: "right", text: "half: you predicted 0.45; it is 0.5" },
      {
        kind: "exercise",
        state: "predicted",
        text: "half: you predicted 2; it is 0.5. What did you not think of?",
      },
    ]);
  });
});

describe("repair", () => {
  it("shows the symptom until the fault is found", async () => {
    await repair("root", (x: number) => x / 4);
    await repair("root", Math.sqrt);
    expect(shown).toEqual([
      { kind: "exercise", state: "todo", text: "root: not repaired yet: the root of 9 is too small" },
      { kind: "exercise", state: "right", text: "root: repaired" },
    ]);
  });
});

describe("reproduce", () => {
  const draw = async (points: Parameters<typeof reproduce>[1]) => {
    await reproduce("line", points, { caption: "A line" });
    const [plot, judged] = shown as [Extract<Output, { kind: "plot" }>, Extract<Output, { kind: "exercise" }>];
    return { dots: plot.svg.match(/<circle/g)?.length ?? 0, text: judged.text };
  };

  it("shows the curve alone while the points are to do", async () => {
    expect(await draw(todo)).toEqual({ dots: 0, text: "line: your turn" });
  });

  it.each([
    ["is right", 2.05, 2, "line: your answer is right"],
    [
      "names the first point that is off",
      2.2,
      2,
      "line: your answer is not right yet: its point at x = 1 is too large",
    ],
    ["refuses what is no number", NaN, 1, "line: your answer is not right yet: its point at x = 1 is not a number"],
  ])("draws the reader's points, and %s", async (_, y, dots, text) => {
    expect(
      await draw([
        [0, 0],
        [1, y],
      ]),
    ).toEqual({ dots, text });
  });

  it("asks for as many points as the plot has, at the same places", async () => {
    expect((await draw([[0, 0]])).text).toContain("it has 1 points; the plot has 2");
    shown = [];
    expect(
      (
        await draw([
          [0, 0],
          [2, 2],
        ])
      ).text,
    ).toContain("its point 2 is at x = 2; in the plot it is at x = 1");
  });
});

describe("exerciseSummary", () => {
  it("counts what is done, for the chapter alone", async () => {
    await exercise("half", 0.5);
    await exercise("half", 2);
    await exercise("root", todo);
    predict("half", 2, 0.5, 0.1);
    expect(exerciseSummary()).toBe("exercises: 1 right, 1 predicted, 1 wrong, 1 to do");
    beginChapter("08-more");
    expect(exerciseSummary()).toBeUndefined();
  });
});

describe("matchSolutions", () => {
  const match = async () => matchSolutions(attemptsSoFar(), await collectSolutions(solve));

  it("accepts a chapter whose exercises are all solved", async () => {
    predict("half", todo, 0.5, 0.1);
    await exercise("root", todo);
    await exercise("line", todo);
    await expect(match()).resolves.toBeUndefined();
  });

  it("names exercises without a solution and solutions without an exercise", async () => {
    await exercise("root", todo);
    await exercise("third", todo);
    await expect(match()).rejects.toThrow(ChapterError);
    await expect(match()).rejects.toThrow('"third" has no solution; "half" is no exercise; "line" is no exercise');
  });

  it("compares what readers predict with its solution", async () => {
    predict("half", todo, 0.9, 0.1);
    await exercise("root", todo);
    await exercise("line", todo);
    await expect(match()).rejects.toThrow('"half" is computed as 0.9: it is too large for the solution');
  });
});
