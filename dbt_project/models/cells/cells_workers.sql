-- Residents in scope who work, aged 15 to 64 or of unknown age: the base of coverage.
select
    period_start,
    kemendagri_code,
    age_band,
    worker_segment,
    -- Unpaid family workers are printed as one number.
    case when worker_segment = 'unpaid_family' then 'all' else worker_group end as worker_group,
    cast(sum(persons) as bigint) as persons
from {{ ref('worker_counts') }}
where is_working and age_band in ('15_64', 'unknown')
group by 1, 2, 3, 4, 5
