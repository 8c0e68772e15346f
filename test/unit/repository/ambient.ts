import ts from "typescript";
import { isIn, type SourceFile } from "./source-files.ts";

/**
 * What reads the clock, sets a timer or draws a random number. Outside `src/shared`, code is given a `Clock` or an
 * `IdGenerator`, so that tests control time and randomness.
 */
const AMBIENT = [
  /^Date\.now$/,
  /^new Date\(\)$/,
  /^Date\(\)$/,
  /^performance\.now$/,
  /^AbortSignal\.timeout$/,
  /^Math\.random$/,
  /^(set(Timeout|Interval|Immediate)|randomUUID|randomBytes|randomInt|getRandomValues)$/,
];

/** Uses of the clock, timers and randomness outside `src/shared`, and of the `Bun` global where Node may run it, with file and line. */
export function ambientUses({ path, text }: SourceFile): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const uses: string[] = [];
  const visit = (node: ts.Node): void => {
    const name = nameOf(node);
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    if (name !== null && !isIn(path, "shared") && AMBIENT.some((ambient) => ambient.test(name))) {
      uses.push(`${path}:${line} uses ${name}: only src/shared may; take a Clock or an IdGenerator`);
    }
    if (name === "Bun" && !isIn(path, "tui"))
      uses.push(`${path}:${line} uses Bun: the desktop app runs plugins in Node`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return uses;
}

function nameOf(node: ts.Node): string | null {
  if (ts.isPropertyAccessExpression(node)) return `${node.expression.getText()}.${node.name.text}`;
  const isCall = ts.isNewExpression(node) || ts.isCallExpression(node);
  if (isCall && node.expression.getText() === "Date" && !node.arguments?.length)
    return ts.isNewExpression(node) ? "new Date()" : "Date()";
  return ts.isIdentifier(node) ? node.text : null;
}
