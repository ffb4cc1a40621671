-- Optional: an audit log that nobody alters or erases in passing. `lora-export init --hardened` runs this file.
--
--   * A user who has exports cannot be deleted; with 001 alone his exports would go with him.
--   * Rows of export_logs and export_runs are not deleted, and the tables not truncated. The exception is
--     `lora-export cleanup --logs`, which archives first, and says who it is: `set local lora_export.purge = on`.
--   * What was asked (timestamp, format, config without its result) never changes, nor does which export a run is of.
--   * Once an export has ended, neither do its counts, its size and its error message.
--
-- This stops mistakes, and programs and users that may write to the tables. It does not stop their owner, who can take
-- the triggers off; `lora-export init --verify` shows that. Run it after the numbered files; how: see 001. It is undone
-- by hardened.sql in the directory down.

-- As in 001, the catalogs are asked directly. NO ACTION refuses to delete a user to whom a row refers.
do $$
declare
  users oid;
  cascading name;
begin
  select c.oid into users
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid
  where n.nspname = 'auth' and c.relname = 'users' and c.relkind in ('r', 'p')
    and a.attname = 'id' and a.atttypid = 'uuid'::regtype;
  if users is null then
    return;
  end if;

  for cascading in
    select c.conname
    from pg_constraint as c
    join pg_attribute as a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.conrelid = 'export_logs'::regclass and c.contype = 'f' and c.confrelid = users
      and a.attname = 'user_id' and c.confdeltype <> 'a'
  loop
    execute format('alter table export_logs drop constraint %I', cascading);
  end loop;

  if not exists (
    select
    from pg_constraint as c
    join pg_attribute as a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.conrelid = 'export_logs'::regclass and c.contype = 'f' and c.confrelid = users and a.attname = 'user_id'
  ) then
    alter table export_logs add constraint fk_export_logs_user foreign key (user_id) references auth.users (id);
  end if;
end
$$;

-- The identity of an export and the steps of its status are the business of 003.
create or replace function export_logs_hardened() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  has_ended boolean;
  is_recovery boolean;
  refused text;
begin
  if tg_op in ('DELETE', 'TRUNCATE') then
    if tg_op = 'DELETE' and current_setting('lora_export.purge', true) = 'on' then
      return null;
    end if;
    raise exception using
      errcode = 'insufficient_privilege',
      schema = tg_table_schema,
      table = tg_table_name,
      constraint = 'export_logs_hardened',
      message = format('rows of the audit log cannot be deleted (%s)', tg_table_name),
      hint = '`lora-export cleanup --logs` archives and removes the rows of old exports.';
  end if;

  if tg_table_name = 'export_runs' then
    refused := concat_ws(', ',
      case when new.export_id is distinct from old.export_id then 'export_id' end,
      case when new.created_at is distinct from old.created_at then 'created_at' end);
  else
    has_ended := old.status not in ('queued', 'processing');
    -- Whether a failed export may be recovered is for 003 to say; if so, it gets the end that it should have had.
    is_recovery := old.status = 'failed' and new.status = 'completed';
    refused := concat_ws(', ',
      case when new.timestamp is distinct from old.timestamp then 'timestamp' end,
      case when new.format is distinct from old.format then 'format' end,
      -- Only an object has a result to leave out; nothing is subtracted from what another program stored.
      case
        when jsonb_typeof(new.config) = 'object' and jsonb_typeof(old.config) = 'object' then
          case when new.config - 'result' is distinct from old.config - 'result' then 'config' end
        when new.config is distinct from old.config then 'config'
      end,
      case when has_ended and new.conversation_count is distinct from old.conversation_count then 'conversation_count' end,
      case when has_ended and new.file_size is distinct from old.file_size then 'file_size' end,
      case
        when has_ended and not is_recovery and new.error_message is distinct from old.error_message then 'error_message'
      end,
      case
        when has_ended and not is_recovery and old.status <> 'completed'
          and new.expires_at is distinct from old.expires_at then 'expires_at'
      end);
  end if;

  if refused <> '' then
    raise exception using
      errcode = 'check_violation',
      schema = tg_table_schema,
      table = tg_table_name,
      constraint = 'export_logs_hardened',
      message = format('%s of export %s cannot be changed', refused, old.export_id);
  end if;
  return new;
end
$$;

-- Per statement, so that whoever has no policy to delete by is refused too, instead of deleting nothing without a word.
drop trigger if exists export_logs_hardened_delete on export_logs;
create trigger export_logs_hardened_delete
  before delete or truncate on export_logs
  for each statement execute function export_logs_hardened();

drop trigger if exists export_logs_hardened_update on export_logs;
create trigger export_logs_hardened_update
  before update on export_logs
  for each row execute function export_logs_hardened();

drop trigger if exists export_runs_hardened_delete on export_runs;
create trigger export_runs_hardened_delete
  before delete or truncate on export_runs
  for each statement execute function export_logs_hardened();

drop trigger if exists export_runs_hardened_update on export_runs;
create trigger export_runs_hardened_update
  before update on export_runs
  for each row execute function export_logs_hardened();

comment on function export_logs_hardened() is
  'Refuses to delete from the audit log (SQLSTATE 42501), and changes of what is settled (SQLSTATE 23514).';
