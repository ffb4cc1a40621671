import type { Step } from '../wizard.js';
import { beginStep } from './begin.js';
import { checksStep } from './checks.js';
import { confirmStep } from './confirm.js';
import { destinationStep } from './destination.js';
import { exportStep } from './export.js';
import { filtersStep } from './filters.js';
import { optionsStep } from './options.js';
import { previewStep } from './preview.js';
import { purposeStep } from './purpose.js';
import { scopeStep } from './scope.js';
import { selectionStep } from './selection.js';

/** The questions in their order. */
export const steps: readonly Step[] = [
  beginStep,
  scopeStep,
  selectionStep,
  filtersStep,
  purposeStep,
  optionsStep,
  destinationStep,
  previewStep,
  checksStep,
  confirmStep,
  exportStep,
];
