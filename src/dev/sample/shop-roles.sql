-- Roles that Writ does not manage. Their passwords are set by the program.
do $$
begin
  if to_regrole('shop_app') is null then create role shop_app login; end if;
  if to_regrole('shop_backup') is null then create role shop_backup login in role pg_read_all_data; end if;
  if to_regrole('shop_report') is null then create role shop_report login; end if;
  if to_regrole('shop_loader') is null then create role shop_loader login; end if;
end
$$;
