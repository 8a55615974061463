/*
New BPU members of each kelurahan in the half year (184 days) from its first session on and in the two halves of the one before,
beside its PBPU: who signs up at the session itself counts as after. The period is the month whose workforce is the base: as it
stood when the sessions began, or the nearest that the feed has.
*/
with base_month as (
    select coalesce(
        max(case when months.period_start <= typical.first_held_on then months.period_start end), min(months.period_start)
    ) as period_start
    from (select distinct period_start from {{ ref('worker_counts') }}) as months
    cross join (select min(typical_first_held_on) as first_held_on from {{ ref('outreach_window') }}) as typical
),

pbpu as (
    select kemendagri_code, sum(persons) as pbpu
    from {{ ref('worker_counts') }}
    where is_working and age_band = '15_64' and worker_segment = 'BPU'
        and period_start = (select period_start from base_month)
    group by kemendagri_code
),

registered as (
    select
        kelurahan.kemendagri_code,
        {%- for name, low, high in [('after', 0, 183), ('late_before', -92, -1), ('early_before', -184, -93)] %}
        sum(case when {{ days_between('kelurahan.first_held_on', 'first.registered_on') }} between {{ low }} and {{ high }}
            then 1 else 0 end) as new_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('outreach_window') }} as kelurahan
    inner join {{ ref('first_participation') }} as first
        on first.kemendagri_code = kelurahan.kemendagri_code and first.segment = 'BPU' and first.registered_on is not null
    group by kelurahan.kemendagri_code
)

select
    base_month.period_start,
    kelurahan.kemendagri_code,
    cast(coalesce(pbpu.pbpu, 0) as bigint) as pbpu,
    cast(coalesce(registered.new_after, 0) as bigint) as new_after,
    cast(coalesce(registered.new_late_before, 0) as bigint) as new_late_before,
    cast(coalesce(registered.new_early_before, 0) as bigint) as new_early_before
from {{ ref('outreach_window') }} as kelurahan
-- Without a month of the feed there is nobody to count.
inner join base_month on base_month.period_start is not null
left join pbpu on pbpu.kemendagri_code = kelurahan.kemendagri_code
left join registered on registered.kemendagri_code = kelurahan.kemendagri_code
