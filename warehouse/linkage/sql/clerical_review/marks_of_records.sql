-- The mark of each record: what was compared of it, under the pseudonym key.
select
    records.record_key,
    pseudonym(
        'profile',
        profile_text(profiles.dataset, name_key, birth, sex, profiles.kk_key, father, mother, card, nik)
    ) as mark
from records
inner join profiles using (profile)
