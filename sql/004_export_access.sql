-- Who may use the tables, and the indexes that lists, workers and cleanup read by.
--
-- How to run this file: see 001.

-- The roles that Supabase gives to users of the application and to its service. Policies keep users apart; nobody but
-- the service may delete. In schema public these grants usually exist already.
do $$
begin
  if exists (
    select
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0 and p.prorettype = 'uuid'::regtype
  ) then
    if exists (select from pg_roles where rolname = 'authenticated') then
      execute format('grant usage on schema %I to authenticated', current_schema());
      grant select, insert, update on export_logs, export_runs to authenticated;
    end if;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant usage on schema %I to service_role', current_schema());
      grant select, insert, update, delete on export_logs, export_runs to service_role;
    end if;
  end if;
end
$$;

-- One page of one user's history, newest first.
create index if not exists idx_export_logs_user_id_timestamp on export_logs (user_id, timestamp desc, export_id desc);

-- The queue, and the files that are still to be removed.
create index if not exists idx_export_runs_queued on export_runs (created_at, export_id) where phase = 'queued';
create index if not exists idx_export_runs_stored on export_runs (export_id)
  where storage_key is not null and file_deleted_at is null;
