-- An equal NIK, while name, birth date and sex do not speak against it.
select a.id as a, b.id as b, 'nik' as method
from profiles as a
inner join profiles as b on a.nik_key = b.nik_key and a.id < b.id
where
    is_same_bearer(a.name_key, b.name_key, a.name_line, b.name_line, a.birth, b.birth)
    and not is_other_sex(a.sex, b.sex, a.is_nik_own, b.is_nik_own, a.is_unnamed, b.is_unnamed)
