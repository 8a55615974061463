-- One row per record of a person or a family. Half a description that nothing else ties names nobody: such a record has no
-- person.
select
    records.record_key,
    records.dataset,
    case when placed_profiles.method is not null then placed_profiles.person_key end as person_key,
    families.family_key,
    coalesce(placed_profiles.method, 'family_card') as method,
    coalesce(placed_profiles.weight, 1.0) as weight,
    getvariable('model_version') as model_version,
    coalesce(placed_profiles.band, 'link') as band
from records
left join placed_profiles using (profile)
left join families on families.family = coalesce(records.kk_key, placed_profiles.kk_key)
where placed_profiles.method is not null or families.family_key is not null
