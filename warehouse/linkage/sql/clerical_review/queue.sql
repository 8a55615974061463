-- One row per pair that waits for clerical review, the likeliest first: keys, methods and weights only.
select
    least(person_key, candidate_person_key) as one,
    greatest(person_key, candidate_person_key) as other,
    min(record_key) filter (where person_key < candidate_person_key) as left_record_key,
    min(record_key) filter (where person_key > candidate_person_key) as right_record_key,
    list_sort(list(distinct dataset)) as datasets,
    arg_max(method, weight) as method,
    max(weight) as weight,
    any_value(model_version) as model_version
from identity_candidates
group by one, other
having left_record_key is not null and right_record_key is not null
order by weight desc, one asc, other asc
