-- One row per profile with its cluster. Whoever loses a clash goes on without a number.
select
    profiles.*,
    clusters.cluster,
    agencies.bit,
    profiles.dataset = getvariable('registry') as is_registry,
    not coalesce(nik_claims.claim > 1, false) as keeps_nik
from profiles
inner join clusters using (id)
inner join agencies on agencies.agency = split_part(profiles.dataset, '/', 1)
left join nik_claims using (nik_key, cluster)
