/*
Months of the participants' feed, from its first to its newest, those that nobody sent among them. A month is whole when every
branch that the feed knows has sent it; who is missing from another month may be with a branch that is.
*/
with sent as (
    select distinct part as branch, period_start
    from {{ source('ledger', 'deliveries_in_force') }}
    where dataset = 'bpjstk/participants'
),

feed as (
    select min(period_start) as first_month, max(period_start) as newest_month, count(distinct branch) as branches from sent
),

months as (
    select
        month.period_start,
        feed.first_month,
        count(sent.branch) = max(feed.branches) as is_whole
    from {{ ref('dim_period') }} as month
    inner join feed on month.period_start between feed.first_month and feed.newest_month
    left join sent on sent.period_start = month.period_start
    where month.period_kind = 'month'
    group by month.period_start, feed.first_month
)

select
    period_start,
    is_whole,
    case when is_whole then coalesce(
        {{ add_months(1, 'max(case when not is_whole then period_start end) over (order by period_start)') }}, first_month
    ) end as whole_since
from months
