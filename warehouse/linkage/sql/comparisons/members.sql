-- One row per profile with its cluster. Whoever loses a clash, or bears another person's number, goes on without one.
select
    profiles.*,
    clusters.cluster,
    agencies.bit,
    profiles.dataset = getvariable('registry') as is_registry,
    coalesce(nik_claims.claim = 1 and nik_claims.is_entitled, true) as keeps_nik
from profiles
inner join clusters using (id)
inner join agencies on agencies.agency = split_part(profiles.dataset, '/', 1)
left join nik_claims using (nik_key, cluster)
