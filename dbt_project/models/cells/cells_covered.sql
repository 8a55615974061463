/*
Workers of the base by whether an active card covers them: by any programme, and by JKK and JKM both. Who is covered and lacks
one of the two may hold it all the same while a link waits for a decision: completing.
*/
{%- set counts = {
    'covered_any': "is_covered",
    'covered_both': "is_covered and jkk = 'held' and jkm = 'held'",
    'completing_both': "is_covered and jkk <> 'none' and jkm <> 'none' and 'possible' in (jkk, jkm)",
    'covered_otherwise': "is_covered and 'none' in (jkk, jkm)",
    'possible_any': "not is_covered",
    'possible_both': "not is_covered and jkk = 'possible' and jkm = 'possible'",
    'possible_otherwise': "not is_covered and 'none' in (jkk, jkm)",
} %}
with counted as (
    select
        period_start, kemendagri_code, worker_segment, worker_group,
        persons as workers
        {%- for name in counts %}, 0 as {{ name }}{% endfor %}
    from {{ ref('worker_counts') }}
    where is_working and age_band = '15_64'
    union all
    select
        period_start, kemendagri_code, worker_segment, worker_group, 0
        {%- for condition in counts.values() %},
        case when {{ condition }} then persons else 0 end
        {%- endfor %}
    from {{ ref('covered_worker_counts') }}
)

select
    period_start,
    kemendagri_code,
    worker_segment,
    worker_group,
    cast(sum(workers) as bigint) as workers
    {%- for name in counts %},
    cast(sum({{ name }}) as bigint) as {{ name }}
    {%- endfor %}
from counted
where worker_segment in ('PU', 'BPU', 'mixed')
group by period_start, kemendagri_code, worker_segment, worker_group
