import type { ConversationField } from '../../conversation.js';
import { describeStatement } from '../conversations.js';
import type { Selection } from '../selection.js';
import type { Snapshot } from '../snapshot.js';
import type { Source } from '../source.js';

/** What of `explain (format json)` matters here. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** How the planner reads a table: `Seq Scan`, or by which indexes. */
export interface Access {
  readonly scansAll: boolean;
  readonly indexes: readonly string[];
}

/**
 * How the server would run the statement of an export; it is planned, not run. Only for a selection without parameters.
 */
export async function planExportStatement(
  snapshot: Snapshot,
  source: Source,
  selection: Selection,
  fields: readonly ConversationField[],
): Promise<{ readonly conversations: Access; readonly turns: Access }> {
  const { sql, ask } = snapshot.connection;
  const statement = await describeStatement(snapshot, source, selection, fields);
  // As an export declares it: for a cursor the planner prefers plans that deliver their first rows early.
  const [row] = await ask(() =>
    sql.unsafe<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>(
      `explain (format json) declare lora_export_plan no scroll cursor for ${statement}`,
    ),
  );
  const root = row?.['QUERY PLAN'][0]?.Plan;
  const nodes = root === undefined ? [] : nodesOf(root);
  return { conversations: accessTo('conversations', nodes), turns: accessTo('conversation_turns', nodes) };
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

function accessTo(table: string, nodes: readonly PlanNode[]): Access {
  const scans = nodes.filter((node) => node['Relation Name'] === table);
  return {
    scansAll: scans.some((node) => node['Node Type'].endsWith('Seq Scan')),
    // The index of a bitmap scan stands in a node below the one that names the table.
    indexes: [...new Set(scans.flatMap(nodesOf).flatMap((node) => node['Index Name'] ?? []))],
  };
}
