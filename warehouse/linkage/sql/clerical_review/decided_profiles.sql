-- The profile that a decision's record or mark leads to: record keys outlive a change of keys, marks a delivery sent again.
select key, min(id) as id
from (
    select records.record_key as key, profiles.id
    from records
    inner join profiles using (profile)
    where records.record_key in (
        select left_record_key from decisions
        union all
        select right_record_key from decisions
    )
    union all
    select key, id
    from (
        select
            pseudonym(
                'profile', profile_text(dataset, name_key, birth, sex, kk_key, father, mother, card, nik)
            ) as key,
            id
        from profiles
    ) as marked
    where key in (
        select left_profile_key from decisions
        union all
        select right_profile_key from decisions
    )
) as known
group by key
