import type { Command } from 'commander';
import { targetNames } from '../../targets/index.js';
import { FILE_FORMATS } from '../../validate/recognise.js';
import type { App } from '../app.js';
import { choice, once, text } from '../flags.js';
import type { ValidateFlags } from '../run-validate.js';

/** `validate`: any training file against what reads it next. */
export function registerValidate(program: Command, app: App): void {
  program
    .command('validate')
    .description(
      'check training files (gzip too), whoever wrote them; status 23 on errors, 29 on broken limits of a file',
    )
    .argument('<file...>', 'files; - for standard input')
    .addOption(choice('-t, --target <name>', 'service or trainer that reads the file next', targetNames))
    .option('--shape <name>', 'one of the shapes of the target; default: as the first row', once(text))
    .addOption(
      choice('-f, --format <name>', 'format of the file; default: by its name and start', FILE_FORMATS),
    )
    .option('--no-bom', 'a target that wants a byte order mark does without')
    .option('--all', 'print every finding; default: 20 for each rule')
    .option('--json', 'the findings, or the error, as one JSON object per file')
    .option('--debug', 'print causes and stack traces')
    .action(async (files: string[], flags: ValidateFlags) => {
      const { runValidate } = await import('../run-validate.js');
      await runValidate(app, files, flags);
    })
    .addHelpText(
      'after',
      `
Examples:
  lora-export validate train.jsonl --target openai
  lora-export export --target together | lora-export validate - --target together`,
    );
}
