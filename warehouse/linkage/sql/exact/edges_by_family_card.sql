-- One name on one family card.
select a.id as a, b.id as b, 'family_card' as method
from profiles as a
inner join profiles as b
    on a.kk_key = b.kk_key and a.id < b.id and (a.nik_key is null or a.nik_key is distinct from b.nik_key)
inner join (
    -- A father and his namesake son on one card differ by nothing but the birth date.
    select kk_key, name_key
    from profiles
    where kk_key is not null
    group by kk_key, name_key
    having count(distinct birth) <= 1
) as bearer on a.kk_key = bearer.kk_key and a.name_key = bearer.name_key
where
    a.name_key = b.name_key
    and coalesce(a.birth = b.birth, true)
    and coalesce(a.sex = b.sex, true)
    and (a.is_nik_of_another or b.is_nik_of_another or not is_other_nik(a.nik, b.nik))
