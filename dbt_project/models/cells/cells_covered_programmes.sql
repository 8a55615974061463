/*
Covered workers of all job groups together, by single programmes: finer counts than by job group, which is asked of any cover
and of JKK with JKM alone.
*/
{%- set counts = {
    'covered_any': "is_covered",
    'covered_both': "is_covered and jkk = 'held' and jkm = 'held'",
    'completing_both': "is_covered and jkk <> 'none' and jkm <> 'none' and 'possible' in (jkk, jkm)",
    'completing_with_jkk': "is_covered and jkk = 'held' and jkm = 'possible'",
    'completing_with_jkm': "is_covered and jkk = 'possible' and jkm = 'held'",
    'covered_otherwise': "is_covered and 'none' in (jkk, jkm)",
    'covered_jkk_only': "is_covered and jkk = 'held' and jkm = 'none'",
    'covered_jkm_only': "is_covered and jkk = 'none' and jkm = 'held'",
    'completing_jkk_only': "is_covered and jkk = 'possible' and jkm = 'none'",
    'completing_jkm_only': "is_covered and jkk = 'none' and jkm = 'possible'",
    'possible_any': "not is_covered",
    'possible_both': "not is_covered and jkk = 'possible' and jkm = 'possible'",
    'possible_otherwise': "not is_covered and 'none' in (jkk, jkm)",
    'possible_jkk_only': "not is_covered and jkk = 'possible' and jkm = 'none'",
    'possible_jkm_only': "not is_covered and jkk = 'none' and jkm = 'possible'",
} %}
select
    period_start,
    kemendagri_code,
    worker_segment
    {%- for name, condition in counts.items() %},
    cast(sum(case when {{ condition }} then persons else 0 end) as bigint) as {{ name }}
    {%- endfor %}
    {%- for programme in ['jht', 'jp', 'jkp'] %},
    cast(sum(case when is_covered and {{ programme }} = 'held' then persons else 0 end) as bigint) as covered_{{ programme }},
    cast(sum(case when is_covered and {{ programme }} = 'possible' then persons else 0 end) as bigint)
        as completing_{{ programme }},
    cast(sum(case when not is_covered and {{ programme }} = 'possible' then persons else 0 end) as bigint)
        as possible_{{ programme }}
    {%- endfor %}
from {{ ref('covered_worker_counts') }}
where worker_segment in ('PU', 'BPU', 'mixed')
group by period_start, kemendagri_code, worker_segment
