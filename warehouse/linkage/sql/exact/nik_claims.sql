-- For each NIK that several clusters go by, or that is another person's: the cluster with the strongest claim first. It stays
-- with whom the number itself describes, else with whom the registry knows by it; never with whom it cannot be of.
select
    nik_key,
    cluster,
    is_entitled,
    row_number() over (
        partition by nik_key order by is_entitled desc, is_own desc, is_registered desc, profiles desc, cluster asc
    ) as claim
from (
    select
        nik_key,
        cluster,
        bool_or(is_nik_own) as is_own,
        bool_or(dataset = getvariable('registry')) as is_registered,
        count(*) as profiles,
        bool_or(dataset = getvariable('registry') or not is_nik_of_another) as is_entitled,
        count(*) over (partition by nik_key) as clusters
    from profiles
    inner join clusters using (id)
    where nik_key is not null
    group by nik_key, cluster
) as claimed
where clusters > 1 or not is_entitled
