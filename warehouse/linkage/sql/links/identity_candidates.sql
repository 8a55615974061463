-- One row per record and other person that it may be: each side of a pair for review is a candidate for the other.
select
    records.record_key,
    records.dataset,
    own.person_key,
    other.person_key as candidate_person_key,
    candidates.method,
    candidates.weight,
    getvariable('model_version') as model_version
from (
    select a as cluster, other as candidate, weight, method from review_pairs
    union all
    select b, one, weight, method from review_pairs
) as candidates
inner join members using (cluster)
inner join records using (profile)
inner join persons using (cluster)
inner join people as own using (person)
inner join people as other on other.person = candidates.candidate
