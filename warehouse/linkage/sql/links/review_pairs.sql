-- Pairs of clusters for clerical review: scored and not linked, or clashing over a NIK.
select
    one.person as one,
    other.person as other,
    open_pairs.a,
    open_pairs.b,
    max(open_pairs.weight) as weight,
    arg_max(open_pairs.method, open_pairs.weight) as method
from (
    select a, b, probability as weight, 'splink' as method from scored
    union
    select first.cluster, next.cluster, getvariable('clash_weight'), 'nik'
    from nik_claims as first
    inner join nik_claims as next using (nik_key)
    where first.claim = 1 and next.claim > 1
) as open_pairs
inner join persons as one on one.cluster = open_pairs.a
inner join persons as other on other.cluster = open_pairs.b
where
    one.person <> other.person
    and (least(open_pairs.a, open_pairs.b), greatest(open_pairs.a, open_pairs.b)) not in (
        select (a, b) from cannot_link_clusters
    )
group by all
