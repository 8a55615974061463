/*
What sessions reached and what followed. A figure with a window stays NULL until the window, and the feed that fills it, have
passed, and where the feed sends no registration day; people without a day are unknown to a window, in its upper bound only.
What the police report and what the feed shows are measures of their own.
*/
with feed as (
    -- The feed speaks for a month once every branch has sent it.
    select min(newest) as newest_month, min(oldest) as oldest_month
    from (
        select branch, max(period_start) as newest, min(period_start) as oldest
        from {{ ref('fct_participation') }}
        group by branch
    ) as by_branch
),

feed_end as (
    select
        feed.oldest_month,
        feed.newest_month,
        cast({{ dbt.dateadd('day', -1, add_months(1, 'feed.newest_month')) }} as date) as last_day,
        coalesce(days.has_days, false) as has_days
    from feed
    cross join (
        select {{ dbt.bool_or('registered_on is not null') }} as has_days from {{ ref('first_participation') }}
    ) as days
),

reported as (
    {%- for segment in ["'all'", 'segment', 'worker_kind'] %}
    select
        held_month,
        kemendagri_code,
        {{ segment }} as segment,
        -- Two polsek that both number a session 1 held two, also where nobody knows the kelurahan.
        count(distinct {{ dbt.concat([
            'cast(held_on as ' ~ dbt.type_string() ~ ')', "'|'", 'cast(session_number as ' ~ dbt.type_string() ~ ')',
            "'|'", 'polsek',
        ]) }}) as sessions,
        sum(people_reached) as people_reached,
        sum(registrations_reported) as registrations_reported
    from {{ ref('fct_outreach_session') }}
    where {{ segment }} is not null
    group by held_month, kemendagri_code{{ '' if segment == "'all'" else ', ' ~ segment }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

started as (
    -- From the feed's first month on. Whoever stands in its first file without a day may have begun at any time before.
    select
        first.registered_month as period_start,
        first.kemendagri_code,
        case when first.segment = 'BPU' then 'new_bpu' else 'new_pu' end as measure,
        count(*) as persons
    from {{ ref('first_participation') }} as first
    cross join feed_end
    where first.segment in ('BPU', 'PU')
        and first.registered_month between feed_end.oldest_month and feed_end.newest_month
    group by first.registered_month, first.kemendagri_code, first.segment
),

returned as (
    select period_start, kemendagri_code, count(*) as persons
    from {{ ref('reactivation') }}
    group by period_start, kemendagri_code
),

held as (
    select distinct held_month, kemendagri_code from {{ ref('fct_outreach_session') }} where kemendagri_code not like '%.0000'
),

followed as (
    select
        held.held_month,
        held.kemendagri_code,
        sum(case when result.segment = 'BPU' and result.days_after_session <= 30 then 1 else 0 end) as new_bpu_30d,
        sum(case when result.segment = 'BPU' then 1 else 0 end) as new_bpu_90d,
        sum(case when result.segment = 'PU' then 1 else 0 end) as new_pu_90d,
        sum(case when result.is_retained then 1 else 0 end) as retained
    from held
    left join {{ ref('outreach_result') }} as result
        on result.kemendagri_code = held.kemendagri_code and result.held_month = held.held_month
    group by held.held_month, held.kemendagri_code
),

{#- The last session may fall on the month's last day: the window of a January session ends in March. #}
{%- set last_days = {
    '30d': dbt.dateadd('day', 29, add_months(1, 'held.held_month')),
    '90d': dbt.dateadd('day', 89, add_months(1, 'held.held_month')),
} %}
undated as (
    -- People first seen in the months of a window, on a day that nobody sent.
    select
        held.held_month,
        held.kemendagri_code,
        {%- for segment, window in [('BPU', '30d'), ('BPU', '90d'), ('PU', '90d')] %}
        sum(case when first.segment = '{{ segment }}' and first.registered_month <= {{ last_days[window] }}
            then 1 else 0 end) as unknown_{{ segment | lower }}_{{ window }}{{ ',' if not loop.last }}
        {%- endfor %}
    from held
    inner join {{ ref('first_participation') }} as first
        on first.kemendagri_code = held.kemendagri_code
        and first.registered_on is null
        and first.registered_month >= held.held_month
    group by held.held_month, held.kemendagri_code
),

windows as (
    -- The six months are counted from the month of registration.
    select
        held.*,
        feed_end.has_days,
        {%- for name in ['bpu_30d', 'bpu_90d', 'pu_90d'] %}
        coalesce(undated.unknown_{{ name }}, 0) as unknown_{{ name }},
        {%- endfor %}
        {%- for name, last_day in last_days.items() %}
        {{ last_day }} <= feed_end.last_day as is_complete_{{ name }},
        {%- endfor %}
        {{ add_months(6, month_start(last_days['90d'])) }} <= feed_end.newest_month as is_complete_6m
    from followed as held
    cross join feed_end
    left join undated on undated.held_month = held.held_month and undated.kemendagri_code = held.kemendagri_code
),

measured as (
    {%- for measure in ['sessions', 'people_reached', 'registrations_reported'] %}
    select
        held_month as period_start, kemendagri_code, '{{ measure }}' as measure, segment,
        {{ measure }} as numerator, cast(null as bigint) as denominator, cast(null as bigint) as unknown_count,
        true as is_window_complete
    from reported
    union all
    {%- endfor %}
    select period_start, kemendagri_code, 'rows_put_aside', 'all', sum(rows_put_aside), null, null, true
    from {{ ref('part_put_aside') }}
    where dataset = 'polri/outreach'
    group by period_start, kemendagri_code
    union all
    select period_start, kemendagri_code, measure, 'all', persons, null, null, true from started
    union all
    select period_start, kemendagri_code, 'reactivated_bpu', 'all', persons, null, null, true from returned
    {%- for segment, window in [('bpu', '30d'), ('bpu', '90d'), ('pu', '90d')] %}
    union all
    select
        held_month, kemendagri_code, 'new_{{ segment }}_{{ window }}', 'all',
        case when is_complete_{{ window }} and has_days then new_{{ segment }}_{{ window }} end, null,
        case when is_complete_{{ window }} then unknown_{{ segment }}_{{ window }} end, is_complete_{{ window }}
    from windows
    {%- endfor %}
    union all
    select
        held_month, kemendagri_code, 'retained_6m', 'all',
        case when is_complete_6m and has_days then retained end, case when is_complete_6m and has_days then new_bpu_90d end,
        case when is_complete_6m then unknown_bpu_90d end, is_complete_6m
    from windows
),

measured_by_month as (
    select
        measured.*,
        'month' as period_kind,
        -- Of those without a day none or all may have come after the session; of those retained nobody knows.
        case when unknown_count is not null and measure <> 'retained_6m' then numerator end as numerator_low,
        case when measure <> 'retained_6m' then numerator + unknown_count end as numerator_high
    from measured
),

differences as (
    select
        'month' as period_kind,
        {{ month_start('result.first_held_on') }} as period_start,
        '{{ var("city") }}' as kemendagri_code,
        measures.measure,
        'all' as segment,
        cast(null as bigint) as numerator,
        cast(null as bigint) as denominator,
        result.window_ends_on <= feed_end.last_day as is_window_complete,
        case when result.window_ends_on > feed_end.last_day or not feed_end.has_days then null
            when measures.measure = 'did_new_bpu_90d_per_1000' then result.difference else result.spillover end as statistic,
        case when measures.measure = 'did_new_bpu_90d_per_1000' and result.window_ends_on <= feed_end.last_day
            and feed_end.has_days then result.ci95_low end as ci95_low,
        case when measures.measure = 'did_new_bpu_90d_per_1000' and result.window_ends_on <= feed_end.last_day
            and feed_end.has_days then result.ci95_high end as ci95_high
    from {{ ref('outreach_difference') }} as result
    cross join feed_end
    cross join (
        select 'did_new_bpu_90d_per_1000' as measure
        union all
        select 'spillover_new_bpu_90d_per_1000'
    ) as measures
),

shaped as (
    select * from (
        {{ long_mart('outreach_by_area_month', 'measured_by_month', keys=['segment'],
            provides=['numerator_low', 'numerator_high', 'unknown_count', 'is_window_complete']) }}
    ) as counts
    union all
    select * from (
        {{ long_mart('outreach_by_area_month', 'differences', keys=['segment'],
            provides=['statistic', 'ci95_low', 'ci95_high', 'is_window_complete'], rollup=false) }}
    ) as differences_shaped
),

sectors as (
    select distinct kecamatan_code from {{ ref('outreach_change') }} where is_treated
),

incomplete as (
    select distinct region.area_code as kemendagri_code, measured.period_start, measured.measure, measured.segment
    from measured
    inner join {{ ref('dim_region_ancestry') }} as region on region.kemendagri_code = measured.kemendagri_code
    where not measured.is_window_complete
    union all
    select kemendagri_code, period_start, measure, segment from differences where not is_window_complete
)

select
    shaped.*,
    sector.name as sector,
    incomplete.measure is null as is_window_complete,
    difference.n_treated,
    difference.n_control,
    cast(case when shaped.statistic is not null then difference.p_permutation end as {{ type_double() }}) as p_permutation,
    cast(case when feed_end.has_days then difference.pretrend_gap end as {{ type_double() }}) as pretrend_gap,
    cast(case when feed_end.has_days then difference.p_pretrend end as {{ type_double() }}) as p_pretrend
from shaped
cross join feed_end
left join {{ ref('dim_region') }} as place on place.kemendagri_code = shaped.kemendagri_code
left join sectors
    on sectors.kecamatan_code in (place.kemendagri_code, place.parent_kemendagri_code)
left join {{ ref('dim_region') }} as sector on sector.kemendagri_code = sectors.kecamatan_code
left join incomplete
    on incomplete.kemendagri_code = shaped.kemendagri_code
    and incomplete.period_start = shaped.period_start
    and incomplete.measure = shaped.measure
    and incomplete.segment = shaped.segment
left join (
    select
        'did_new_bpu_90d_per_1000' as measure, n_treated, n_control, p_permutation, pretrend_gap, p_pretrend
    from {{ ref('outreach_difference') }}
    union all
    select 'spillover_new_bpu_90d_per_1000', n_neighbours, n_far, null, null, null
    from {{ ref('outreach_difference') }}
) as difference on difference.measure = shaped.measure
