-- For each NIK that several clusters go by: the cluster with the strongest claim first. It stays with whom the number itself
-- describes, else with whom the registry knows by it.
select
    nik_key,
    cluster,
    row_number() over (
        partition by nik_key
        order by
            bool_or(is_nik_own) desc, bool_or(dataset = getvariable('registry')) desc, count(*) desc, cluster asc
    ) as claim
from profiles
inner join clusters using (id)
where nik_key in (
    select nik_key
    from profiles
    inner join clusters using (id)
    group by nik_key
    having count(distinct cluster) > 1
)
group by nik_key, cluster
