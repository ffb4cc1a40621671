-- Takes back optional/hardened.sql; run it before the numbered files. How to run this file: see 003 in this directory.

do $$
declare
  logs oid := to_regclass(format('%I.export_logs', current_schema()));
  runs oid := to_regclass(format('%I.export_runs', current_schema()));
begin
  -- A foreign key that somebody has made without these triggers is his.
  if exists (select from pg_trigger where tgrelid = logs and tgname like 'export\_logs\_hardened\_%')
    and exists (
      select from pg_constraint
      where conrelid = logs and conname = 'fk_export_logs_user' and contype = 'f' and confdeltype = 'a'
    )
  then
    alter table export_logs
      drop constraint fk_export_logs_user,
      add constraint fk_export_logs_user foreign key (user_id) references auth.users (id) on delete cascade;
  end if;

  if logs is not null then
    drop trigger if exists export_logs_hardened_delete on export_logs;
    drop trigger if exists export_logs_hardened_update on export_logs;
  end if;
  if runs is not null then
    drop trigger if exists export_runs_hardened_delete on export_runs;
    drop trigger if exists export_runs_hardened_update on export_runs;
  end if;
end
$$;

drop function if exists export_logs_hardened();
