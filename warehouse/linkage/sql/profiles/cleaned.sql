-- One row per distinct description, as it is compared.
select
    profile,
    any_value(dataset) as dataset,
    any_value(nik_key) as nik_key,
    any_value(case when nik_key is not null then regexp_replace(nik, '[^0-9]', '', 'g') end) as nik,
    any_value(kk_key) as kk_key,
    name_key(any_value(name)) as name_key,
    name_line(any_value(name)) as name_line,
    is_unnamed(any_value(name)) as is_unnamed,
    any_value(birth_date) as birth,
    sex_of(any_value(sex)) as sex,
    name_key(split_part(any_value(parent_name), '/', 1)) as father,
    name_key(split_part(any_value(parent_name), '/', 2)) as mother,
    cast(try_cast(any_value(rt) as int) as varchar) as rt,
    cast(try_cast(any_value(rw) as int) as varchar) as rw,
    any_value(card) as card,
    max(record_key) as record_key
from described
where nik_key is not null or name is not null
group by profile
