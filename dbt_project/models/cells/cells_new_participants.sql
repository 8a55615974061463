/*
People by the month in which they began: a first participation in BPU or PU, or BPU again after a month away. From the feed's
first month on: whoever stands in its first file without a day may have begun at any time before.
*/
with feed as (
    {{ feed_months() }}
),

begun as (
    select
        first.registered_month as period_start,
        first.kemendagri_code,
        case when first.segment = 'BPU' then 'new_bpu' else 'new_pu' end as measure
    from {{ ref('first_participation') }} as first
    cross join feed
    where first.segment in ('BPU', 'PU')
        and first.registered_month between feed.oldest_month and feed.newest_month
    union all
    select period_start, kemendagri_code, 'reactivated_bpu' from {{ ref('reactivation') }}
)

select period_start, kemendagri_code, measure, cast(count(*) as bigint) as persons
from begun
group by period_start, kemendagri_code, measure
