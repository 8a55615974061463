-- A child on no card belongs to the one couple of its parents' names, of its own kelurahan if there are several.
select
    person,
    case
        when count(distinct kk_key) = 1 then min(kk_key)
        when count(distinct kk_key) filter (where is_near) = 1 then min(kk_key) filter (where is_near)
    end as kk_key
from (
    select distinct
        persons.person,
        couples.kk_key,
        coalesce(members.kelurahan = homes.kelurahan, false) as is_near
    from members
    inner join persons using (cluster)
    inner join couples on couples.father = members.father and couples.mother = members.mother
    left join card_places as homes on homes.kk_key = couples.kk_key
    where persons.person not in (select person from cards)
) as parents
group by person
