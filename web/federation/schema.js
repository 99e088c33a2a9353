// What the program prints.
import { execFileSync } from 'node:child_process';

const repository = new URL('../..', import.meta.url).pathname;

/** What `onhand schema` prints with these flags. ONHAND_BINARY names a program that is built already. */
export function schema(...flags) {
  const [program, ...first] = process.env.ONHAND_BINARY ? [process.env.ONHAND_BINARY] : ['go', 'run', '.'];
  return execFileSync(program, [...first, 'schema', ...flags], { cwd: repository, encoding: 'utf8', maxBuffer: 1 << 24 });
}
