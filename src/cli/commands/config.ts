import type { Command } from 'commander';
import type { App } from '../app.js';
import type { ConfigFlags } from '../run-config-command.js';

/** `config`: what the settings are, and which file, variable or flag says so. */
export function registerConfig(program: Command, app: App): void {
  const command = program
    .command('config')
    .description('show every setting, where it comes from, and the presets; no database is asked')
    .option('--json', 'as one JSON object')
    .optionsGroup('Settings:');
  app.addConnectionFlags(command).action(async (flags: ConfigFlags) => {
    const { runConfigCommand } = await import('../run-config-command.js');
    await runConfigCommand(app, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export config
  lora-export config --json | jq '.settings[] | select(.source != "default")'`,
  );
}
