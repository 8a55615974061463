/*
What sessions reached and what followed. A figure with a window stays NULL until the window, and the feed that fills it, have
passed, and where the feed sends no registration day; people without a day are unknown to a window, in its upper bound only.
What the police report and what the feed shows are measures of their own.
*/
with feed as (
    {{ feed_months() }}
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
        period_start,
        kemendagri_code,
        {{ segment }} as segment,
        sum(people_reached) as people_reached,
        sum(case when is_registration_reported then registrations_reported end) as registrations_reported
    from {{ ref('cells_outreach') }}
    where {{ segment }} <> 'not_stated'
    group by period_start, kemendagri_code{{ '' if segment == "'all'" else ', ' ~ segment }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

held as (
    -- Sessions are events, not people: counted as they are.
    {%- for segment in ["'all'", 'segment', 'worker_kind'] %}
    select
        held_month as period_start,
        kemendagri_code,
        {{ segment }} as segment,
        -- Two polsek that both number a session 1 held two, also where nobody knows the kelurahan.
        count(distinct {{ dbt.concat([
            'cast(held_on as ' ~ dbt.type_string() ~ ')', "'|'", 'cast(session_number as ' ~ dbt.type_string() ~ ')',
            "'|'", 'polsek',
        ]) }}) as sessions
    from {{ ref('fct_outreach_session') }}
    where {{ segment }} is not null
    group by held_month, kemendagri_code{{ '' if segment == "'all'" else ', ' ~ segment }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

windows as (
    -- The six months are counted from the month of registration.
    select
        cells.*,
        feed_end.has_days,
        {%- for segment, days in [('bpu', 30), ('bpu', 90), ('pu', 90)] %}
        {{ window_end('cells.period_start', days) }} <= feed_end.last_day as is_complete_{{ segment }}_{{ days }}d,
        {%- endfor %}
        -- Who is not in a month that a branch did not send may be active in it all the same.
        coalesce(sixth.whole_since <= {{ add_months(6, 'cells.period_start') }}, false) as is_complete_6m
    from {{ ref('cells_outreach_followed') }} as cells
    cross join feed_end
    left join {{ ref('feed_month') }} as sixth
        on sixth.period_start = {{ add_months(6, month_start(window_end('cells.period_start', 90))) }}
),

measured as (
    {%- for measure, relation in [
        ('sessions', 'held'), ('people_reached', 'reported'), ('registrations_reported', 'reported'),
    ] %}
    select
        period_start, kemendagri_code, '{{ measure }}' as measure, segment,
        {{ measure }} as numerator, cast(null as bigint) as denominator, cast(null as bigint) as unknown_count,
        true as is_window_complete
    from {{ relation }}
    union all
    {%- endfor %}
    select period_start, kemendagri_code, 'rows_put_aside', 'all', sum(rows_put_aside), null, null, true
    from {{ ref('part_put_aside') }}
    where dataset = 'polri/outreach'
    group by period_start, kemendagri_code
    union all
    -- Whether somebody was away is told by the month before.
    select
        cells.period_start, cells.kemendagri_code, cells.measure, 'all',
        case when cells.measure <> 'reactivated_bpu' or before.is_whole then cells.persons end, null, null,
        cells.measure <> 'reactivated_bpu' or coalesce(before.is_whole, false)
    from {{ ref('cells_new_participants') }} as cells
    left join {{ ref('feed_month') }} as before
        on before.period_start = {{ add_months(-1, 'cells.period_start') }}
    {%- for name in ['bpu_30d', 'bpu_90d', 'pu_90d'] %}
    union all
    select
        period_start, kemendagri_code, 'new_{{ name }}', 'all',
        case when is_complete_{{ name }} and has_days then new_{{ name }} end, null,
        case when is_complete_{{ name }} then unknown_{{ name }} end, is_complete_{{ name }}
    from windows
    {%- endfor %}
    union all
    select
        period_start, kemendagri_code, 'retained_6m', 'all',
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
        result.is_window_complete,
        case when not result.is_window_complete or not feed_end.has_days then null
            when measures.measure = 'did_new_bpu_90d_per_1000' then result.difference else result.spillover end as statistic,
        case when measures.measure = 'did_new_bpu_90d_per_1000' and result.is_window_complete
            and feed_end.has_days then result.ci95_low end as ci95_low,
        case when measures.measure = 'did_new_bpu_90d_per_1000' and result.is_window_complete
            and feed_end.has_days then result.ci95_high end as ci95_high
    from (
        select
            difference.*,
            -- Registration days reach back before the feed: of its own months none may be missing in between.
            difference.window_ends_on <= feed_end.last_day
            and coalesce(
                last_month.whole_since <= greatest({{ month_start('difference.first_held_on') }}, feed_end.oldest_month), false
            ) as is_window_complete
        from {{ ref('outreach_difference') }} as difference
        cross join feed_end
        left join {{ ref('feed_month') }} as last_month
            on last_month.period_start = {{ month_start('difference.window_ends_on') }}
    ) as result
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
