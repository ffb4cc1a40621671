-- Takes back 002: drops the working state of all exports. How to run this file: see 003 in this directory.

do $$
declare
  found bigint;
begin
  if to_regclass(format('%I.export_runs', current_schema())) is null then
    return;
  end if;
  -- Nobody may add a row between the count and the drop, and no policy may hide rows from the count.
  lock table export_runs in access exclusive mode;
  perform set_config('row_security', 'off', true);
  select count(*) into found from export_runs;
  if found > 0 and current_setting('lora_export.force', true) is distinct from 'on' then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('export_runs still holds %s rows', found),
      hint = 'To lose them, run `set lora_export.force = on` first.';
  end if;
  drop table export_runs;
end
$$;
