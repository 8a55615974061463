-- An agency's own card, with the guard of the NIK.
select a.id as a, b.id as b, 'card' as method
from profiles as a
inner join profiles as b on a.card = b.card and a.dataset = b.dataset and a.id < b.id
where
    is_same_bearer(a.name_key, b.name_key, a.name_line, b.name_line, a.birth, b.birth)
    and not is_other_sex(a.sex, b.sex, a.is_nik_own, b.is_nik_own, a.is_unnamed, b.is_unnamed)
    and (a.is_nik_of_another or b.is_nik_of_another or not is_other_nik(a.nik, b.nik))
