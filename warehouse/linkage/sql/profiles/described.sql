-- One row per identity in force, with a hash over everything that linkage compares of it.
select
    *,
    hash(dataset, nik_key, kk_key, nik, card, rt, rw, name, birth_date, sex, parent_name) as profile
from identities
