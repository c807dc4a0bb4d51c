import ts from "typescript";
import type { Cell } from "./cells.js";

/** A change of a single token: `text` in place of the characters from `start` to `end`. */
export interface Mutation {
  readonly line: number;
  readonly change: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const OPERATORS = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
  [ts.SyntaxKind.AsteriskToken, "/"],
  [ts.SyntaxKind.SlashToken, "*"],
  [ts.SyntaxKind.AsteriskAsteriskToken, "*"],
  [ts.SyntaxKind.PlusEqualsToken, "-="],
  [ts.SyntaxKind.MinusEqualsToken, "+="],
  [ts.SyntaxKind.AsteriskEqualsToken, "/="],
  [ts.SyntaxKind.SlashEqualsToken, "*="],
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
]);
/** Arithmetic of tensors. */
const METHODS = new Map([
  ["add", "sub"],
  ["sub", "add"],
  ["mul", "div"],
  ["div", "mul"],
  ["less", "greater"],
  ["greater", "less"],
  ["argMin", "argMax"],
  ["argMax", "argMin"],
]);
/** Methods without arguments that a mutation leaves out. */
const DROPPED = new Set(["sqrt", "neg", "square"]);
/** Functions of which the order of arguments does not matter. */
const SYMMETRIC = new Set(["Math.max", "Math.min", "Math.hypot"]);
/** Functions that only show something, or that ask the reader. */
const SHOWN = new Set(["plot", "image", "show", "table", "drawing", "exercise", "predict", "repair", "reproduce"]);

/** Whether two arguments may change places: the compiler catches it if their types differ. */
export type SameType = (a: ts.Expression, b: ts.Expression) => boolean;

/** How many characters of its surroundings the description of a change shows. */
const AROUND = 30;

/**
 * All changes of a single token in the code that a chapter's claims rest on. Left out are folded cells, the exercises,
 * what is handed to `plot` and the like, the tolerance of a check, and statements under a comment that begins with
 * `// drawing`.
 */
export function mutationsOf(source: ts.SourceFile, cells: readonly Cell[], sameType: SameType): Mutation[] {
  const { text } = source;
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const mutations: Mutation[] = [];

  const derived = derivationLines(cells);
  for (const statement of source.statements) {
    if (derived(lineOf(statement.getStart()))) visit(statement);
  }
  return mutations;

  function replace(start: number, end: number, replacement: string): void {
    const before = oneLine(text.slice(Math.max(0, start - AROUND), start));
    const after = oneLine(text.slice(end, end + AROUND));
    const change = `…${before}[${oneLine(text.slice(start, end))} → ${replacement || "nothing"}]${after}…`;
    mutations.push({ line: lineOf(start), change, start, end, text: replacement });
  }
  function replaceNode(node: ts.Node, replacement: string): void {
    replace(node.getStart(), node.getEnd(), replacement);
  }

  function visit(node: ts.Node): void {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || isDrawing(node, text)) return;
    if (ts.isBinaryExpression(node)) mutateOperator(node);
    if (ts.isNumericLiteral(node)) mutateFactor(node);
    if (ts.isElementAccessExpression(node)) mutateIndex(node);
    if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken)
      replace(node.getStart(), node.operand.getStart(), "");
    if (!ts.isCallExpression(node)) return ts.forEachChild(node, visit);

    const name = node.expression.getText();
    if (SHOWN.has(name)) return;
    if (name === "check") return node.arguments.slice(1, 3).forEach(visit);
    mutateCall(node, name);
    ts.forEachChild(node, visit);
  }

  function mutateOperator({ operatorToken, left, right }: ts.BinaryExpression): void {
    const other = OPERATORS.get(operatorToken.kind);
    if (other && !isText(left) && !isText(right)) replaceNode(operatorToken, other);
  }

  /** A number that is multiplied or divided with becomes twice as large. */
  function mutateFactor(node: ts.NumericLiteral): void {
    const { parent } = node;
    const isFactor =
      (ts.isBinaryExpression(parent) &&
        [ts.SyntaxKind.AsteriskToken, ts.SyntaxKind.SlashToken].includes(parent.operatorToken.kind)) ||
      (ts.isCallExpression(parent) &&
        ts.isPropertyAccessExpression(parent.expression) &&
        ["mul", "div"].includes(parent.expression.name.text));
    if (isFactor) replaceNode(node, String(2 * Number(node.text)));
  }

  /** The neighbour. Of an array that a call returns there is mostly one element. */
  function mutateIndex(node: ts.ElementAccessExpression): void {
    const index = node.argumentExpression;
    if (isText(index) || ts.isCallExpression(node.expression)) return;
    replaceNode(index, ts.isNumericLiteral(index) ? String(Number(index.text) + 1) : `${index.getText()} + 1`);
  }

  function mutateCall(node: ts.CallExpression, name: string): void {
    const callee = node.expression;
    if (name === "Math.sqrt") replaceNode(callee, "");
    if (ts.isPropertyAccessExpression(callee)) {
      const method = callee.name.text;
      const other = METHODS.get(method);
      if (other) replaceNode(callee.name, other);
      if (DROPPED.has(method) && node.arguments.length === 0) replace(callee.expression.getEnd(), node.getEnd(), "");
    }
    const [first, second] = node.arguments;
    if (!first || !second || SYMMETRIC.has(name) || first.getText() === second.getText()) return;
    if (![first, second].some(ts.isArrayLiteralExpression) && sameType(first, second))
      replace(first.getStart(), second.getEnd(), `${second.getText()}, ${first.getText()}`);
  }
}

/** Whether a line belongs to the derivation: to a cell that is not folded, before the exercises. */
function derivationLines(cells: readonly Cell[]): (line: number) => boolean {
  const exercises = cells.find((cell) => cell.kind === "markdown" && /^## Exercises/m.test(cell.text));
  const end = exercises?.line ?? Infinity;
  const folded = cells.map((cell) => cell.kind === "code" && cell.folded !== undefined);
  return (line) => {
    const k = cells.filter((cell) => cell.line <= line).length - 1;
    return line < end && !folded[k];
  };
}

function isDrawing(node: ts.Node, text: string): boolean {
  if (!ts.isStatement(node)) return false;
  const comments = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  return comments.some(({ pos, end }) => /^\/\/ drawing\b/.test(text.slice(pos, end)));
}

const isText = (node: ts.Node): boolean =>
  ts.isStringLiteralLike(node) ||
  ts.isTemplateExpression(node) ||
  (ts.isBinaryExpression(node) && (isText(node.left) || isText(node.right)));

const oneLine = (code: string): string => code.replace(/\s+/g, " ");
