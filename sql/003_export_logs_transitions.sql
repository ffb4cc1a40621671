-- Keeps the audit log honest: a row's identity never changes, and its status only moves forward:
--
--   queued -> processing -> completed -> expired
--   queued | processing -> failed
--   failed -> completed     only to recover an export that was interrupted after its file was complete
--
-- How to run this file: see 001.

create or replace function export_logs_transitions() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  recoverable boolean;
begin
  if tg_op = 'INSERT' then
    -- The owner of the table may restore archived rows; a user whom the policies bind cannot forge a finished export.
    if new.status not in ('queued', 'processing') and pg_catalog.row_security_active(tg_relid) then
      raise exception using
        errcode = 'check_violation',
        schema = tg_table_schema,
        table = tg_table_name,
        column = 'status',
        constraint = 'export_logs_transitions',
        message = format('a new export cannot be %s', new.status),
        hint = 'An export starts as queued or processing.';
    end if;
    return new;
  end if;

  if new.id is distinct from old.id
    or new.export_id is distinct from old.export_id
    or new.user_id is distinct from old.user_id
    or new.created_at is distinct from old.created_at
  then
    raise exception using
      errcode = 'check_violation',
      schema = tg_table_schema,
      table = tg_table_name,
      constraint = 'export_logs_identity',
      message = format('id, export_id, user_id and created_at of export %s cannot be changed', old.export_id);
  end if;

  if new.status = old.status
    or (old.status = 'queued' and new.status in ('processing', 'failed'))
    or (old.status = 'processing' and new.status in ('completed', 'failed'))
    or (old.status = 'completed' and new.status = 'expired')
  then
    return new;
  end if;

  if old.status = 'failed' and new.status = 'completed' then
    -- The function may be called under any search_path, and the companion table stands next to ours.
    execute format(
      'select exists (select from %I.export_runs where export_id = $1 and phase = ''publishing'' and sha256 is not null)',
      tg_table_schema
    ) into recoverable using old.export_id;
    if recoverable then
      return new;
    end if;
  end if;

  raise exception using
    errcode = 'check_violation',
    schema = tg_table_schema,
    table = tg_table_name,
    column = 'status',
    constraint = 'export_logs_transitions',
    message = format('export %s cannot go from %s to %s', old.export_id, old.status, new.status);
end
$$;

drop trigger if exists export_logs_transitions on export_logs;
create trigger export_logs_transitions
  before insert or update on export_logs
  for each row execute function export_logs_transitions();

comment on function export_logs_transitions() is
  'Refuses changes of an export''s identity and moves of its status that are not steps forward (SQLSTATE 23514).';
