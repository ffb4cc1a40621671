import type { Command } from 'commander';
import type { App } from '../app.js';
import { Argument } from '../parser.js';
import type { Shell } from '../completion.js';

/** The shells for which there is a script. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const satisfies readonly Shell[];

/** `completion`: what a shell needs to complete the words of this program. */
export function registerCompletion(program: Command, app: App): void {
  program
    .command('completion')
    .description('print a script that makes a shell complete commands, flags and their values')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      const { completionScript } = await import('../completion.js');
      app.terminal.data(completionScript(shell, program));
    })
    .addHelpText(
      'after',
      `
Examples:
  lora-export completion bash > ~/.local/share/bash-completion/completions/lora-export
  lora-export completion zsh > ~/.zfunc/_lora-export            # a directory of $fpath
  lora-export completion fish > ~/.config/fish/completions/lora-export.fish
  source <(lora-export completion bash)                         # this session only; zsh too`,
    );
}
