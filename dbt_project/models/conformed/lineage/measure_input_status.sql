/*
input_status for each combination of datasets and months that some measure is made of: the oldest input speaks for all. A figure
that looks back or ahead is final when each of those months is, too. Before the first period that anything came for there is
no figure to speak for.
*/
with measures as (
    select distinct inputs, months_back, months_ahead from {{ ref('dim_measure') }}
),

members as (
    select measures.inputs, measures.months_back, measures.months_ahead, contract.dataset, contract.period_kind
    from measures
    inner join {{ source('ledger', 'contracts') }} as contract
        on {{ dbt.concat(["' '", "measures.inputs", "' '"]) }} like {{ dbt.concat(["'% '", "contract.dataset", "' %'"]) }}
),

since as (
    select members.inputs, status.period_kind, min(status.period_start) as period_start
    from members
    inner join {{ ref('input_status') }} as status on status.dataset = members.dataset
    where status.parts_received > 0
    group by members.inputs, status.period_kind
),

periods as (
    select
        own.period_kind,
        own.period_start,
        {{ month_start('period.period_end') }} as last_month
    from (select distinct period_kind, period_start from {{ ref('input_status') }}) as own
    inner join {{ ref('dim_period') }} as period
        on period.period_kind = own.period_kind and period.period_start = own.period_start
),

around as (
    select
        members.inputs,
        members.months_back,
        members.months_ahead,
        periods.period_kind,
        periods.period_start,
        month.kemendagri_code,
        min(cast(month.is_final as int)) = 1
        and count(*) = count(distinct members.dataset) * (members.months_back + members.months_ahead + 1) as is_final
    from members
    inner join since on since.inputs = members.inputs
    inner join periods on periods.period_kind = since.period_kind and periods.period_start >= since.period_start
    inner join {{ ref('input_status') }} as month
        on month.dataset = members.dataset
        and month.period_kind = 'month'
        and month.period_start >= {{ add_months('-members.months_back', 'periods.last_month') }}
        and month.period_start <= {{ add_months('members.months_ahead', 'periods.last_month') }}
    where members.period_kind = 'month' and members.months_back + members.months_ahead > 0
    group by
        members.inputs, members.months_back, members.months_ahead, periods.period_kind, periods.period_start,
        month.kemendagri_code
),

own as (
    select
        members.inputs,
        members.months_back,
        members.months_ahead,
        status.period_kind,
        status.period_start,
        status.kemendagri_code,
        cast(sum(status.parts_received) as bigint) as parts_received,
        cast(sum(status.parts_expected) as bigint) as parts_expected,
        min(status.as_of) as as_of,
        max(cast(status.is_stale as int)) = 1 as is_stale,
        min(cast(status.is_final as int)) = 1 as is_final
    from members
    inner join {{ ref('input_status') }} as status on status.dataset = members.dataset
    inner join since
        on since.inputs = members.inputs
        and since.period_kind = status.period_kind
        and status.period_start >= since.period_start
    group by
        members.inputs, members.months_back, members.months_ahead, status.period_kind, status.period_start,
        status.kemendagri_code
)

select
    own.inputs,
    own.months_back,
    own.months_ahead,
    own.period_kind,
    own.period_start,
    own.kemendagri_code,
    own.parts_received,
    own.parts_expected,
    own.as_of,
    own.is_stale,
    own.is_final and (own.months_back + own.months_ahead = 0 or coalesce(around.is_final, false)) as is_final
from own
left join around
    on around.inputs = own.inputs
    and around.months_back = own.months_back
    and around.months_ahead = own.months_ahead
    and around.period_kind = own.period_kind
    and around.period_start = own.period_start
    and around.kemendagri_code = own.kemendagri_code
