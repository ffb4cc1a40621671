/** Preloaded into a process under test: appends the address of every module that the process loads to `MODULES_FILE`. */
import { appendFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';

const note = `
  import { appendFileSync } from 'node:fs';
  export function load(url, context, next) {
    appendFileSync(process.env.MODULES_FILE, url + '\\n');
    return next(url, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(note)}`);

// What CommonJS packages load of their own goes past the hook.
process.on('exit', () => {
  for (const path of Object.keys(createRequire(import.meta.url).cache))
    appendFileSync(process.env.MODULES_FILE, `file://${path}\n`);
});
