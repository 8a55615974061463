/*
Families by three things at once: low rank, stunted child, uncovered breadwinner. By kelurahan only for quarters: by month the
cells would hold a handful of families.
*/
{%- set children = answers() + ['not_applicable'] %}
with told as (
    select
        period_kind, period_start, desil_class, kemendagri_code
        {%- for child in children %}{% for breadwinner in children %}, {{ child }}_{{ breadwinner }}{% endfor %}{% endfor %}
    from {{ ref('cells_convergence') }}
    where only_month is null
    union all
    -- A quarter that one month alone tells is that month.
    select
        quarter.period_kind, quarter.period_start, month.desil_class, month.kemendagri_code
        {%- for child in children %}{% for breadwinner in children %}, month.{{ child }}_{{ breadwinner }}{% endfor %}
        {%- endfor %}
    from (
        select distinct period_kind, period_start, only_month from {{ ref('cells_convergence') }} where only_month is not null
    ) as quarter
    inner join {{ ref('cells_convergence') }} as month
        on month.period_kind = 'month' and month.period_start = quarter.only_month
),

situations as (
    {%- for child in children %}
    {%- for breadwinner in children %}
    select
        period_kind, period_start, kemendagri_code, desil_class,
        '{{ child }}' as stunted_child,
        '{{ breadwinner }}' as uncovered_breadwinner,
        {{ child }}_{{ breadwinner }} as families
    from told
    where {{ child }}_{{ breadwinner }} <> 0
    {{ 'union all' if not (loop.last and child == 'not_applicable') }}
    {%- endfor %}
    {%- endfor %}
),

thresholds as (
    select '01' as desil_threshold
    union all
    select '04'
),

judged as (
    select
        situations.period_kind,
        situations.period_start,
        situations.kemendagri_code,
        thresholds.desil_threshold,
        case
            when situations.desil_class = 'unknown' then 'unknown'
            when situations.desil_class = '01' or (situations.desil_class = '02_04' and thresholds.desil_threshold = '04')
                then 'yes'
            else 'no'
        end as low_desil,
        situations.stunted_child,
        situations.uncovered_breadwinner,
        sum(situations.families) as families
    from situations
    cross join thresholds
    group by 1, 2, 3, 4, 5, 6, 7
),

placed as (
    select area.area_level, area.area_code, judged.*
    from judged
    inner join {{ ref('dim_region_ancestry') }} as area on area.kemendagri_code = judged.kemendagri_code
    where area.area_level <> 'kelurahan' or judged.period_kind = 'quarter'
),

cubed as (
    select
        area_level,
        area_code as kemendagri_code,
        period_kind,
        period_start,
        desil_threshold,
        case when grouping(low_desil) = 1 then 'all' else low_desil end as low_desil,
        case when grouping(stunted_child) = 1 then 'all' else stunted_child end as stunted_child,
        case when grouping(uncovered_breadwinner) = 1 then 'all' else uncovered_breadwinner end as uncovered_breadwinner,
        sum(families) as families
    from placed
    group by
        area_level, area_code, period_kind, period_start, desil_threshold,
        cube (low_desil, stunted_child, uncovered_breadwinner)
),

bases as (
    select area_level, kemendagri_code, period_kind, period_start, desil_threshold, families
    from cubed
    where low_desil = 'all' and stunted_child = 'all' and uncovered_breadwinner = 'all'
),

asked as (
    -- Every combination of "yes" and "all" is answered, also with nobody; what is open may be a "yes".
    {%- set answers = ['yes', 'all'] %}
    {%- for low_desil in answers %}
    {%- for stunted_child in answers %}
    {%- for uncovered_breadwinner in answers %}
    select
        area_level,
        area_code as kemendagri_code,
        period_kind,
        period_start,
        desil_threshold,
        '{{ low_desil }}' as low_desil,
        '{{ stunted_child }}' as stunted_child,
        '{{ uncovered_breadwinner }}' as uncovered_breadwinner,
        sum(case when 1 = 1
            {%- for key, wanted in [('low_desil', low_desil), ('stunted_child', stunted_child),
                ('uncovered_breadwinner', uncovered_breadwinner)] if wanted == 'yes' %} and {{ key }} = 'yes'{% endfor %}
            then families else 0 end) as families,
        sum(case when 1 = 1
            {%- for key, wanted in [('low_desil', low_desil), ('stunted_child', stunted_child),
                ('uncovered_breadwinner', uncovered_breadwinner)] if wanted == 'yes' %} and {{ key }} in ('yes', 'unknown')
            {%- endfor %} then families else 0 end) as families_high
    from placed
    group by area_level, area_code, period_kind, period_start, desil_threshold
    {{ 'union all' if not (loop.last and stunted_child == 'all' and low_desil == 'all') }}
    {%- endfor %}
    {%- endfor %}
    {%- endfor %}
),

-- Where an area stands among its level: the share of its families that the question names, the largest first. Ranks are bounded
-- by setting its open families against everyone else's.
shares as (
    select
        asked.*,
        1.0 * asked.families / nullif(bases.families, 0) as share_low,
        1.0 * asked.families_high / nullif(bases.families, 0) as share_high
    from asked
    inner join bases
        on bases.kemendagri_code = asked.kemendagri_code
        and bases.area_level = asked.area_level
        and bases.period_kind = asked.period_kind
        and bases.period_start = asked.period_start
        and bases.desil_threshold = asked.desil_threshold
    where asked.low_desil = 'yes' and asked.stunted_child = 'yes' and asked.uncovered_breadwinner = 'yes'
        and asked.area_level <> 'kota' and asked.kemendagri_code not like '%.00%'
),

ranks as (
    select
        own.kemendagri_code,
        own.period_kind,
        own.period_start,
        own.desil_threshold,
        count(*) as areas,
        cast(1 + sum(case when other.share_low > own.share_low then 1 else 0 end) as bigint) as area_rank,
        cast(1 + sum(case when other.share_low > own.share_high then 1 else 0 end) as bigint) as area_rank_low,
        cast(1 + sum(case when other.share_high > own.share_low and other.kemendagri_code <> own.kemendagri_code
            then 1 else 0 end) as bigint) as area_rank_high
    from shares as own
    inner join shares as other
        on other.area_level = own.area_level
        and other.period_kind = own.period_kind
        and other.period_start = own.period_start
        and other.desil_threshold = own.desil_threshold
    group by own.kemendagri_code, own.period_kind, own.period_start, own.desil_threshold
),

-- A combination that exists anywhere in the city is a row of every area, with nobody in it if need be: else denominators
-- would not add up over areas.
completed as (
    select
        bases.area_level,
        bases.kemendagri_code,
        bases.period_kind,
        bases.period_start,
        bases.desil_threshold,
        city.low_desil,
        city.stunted_child,
        city.uncovered_breadwinner,
        coalesce(cubed.families, 0) as families
    from bases
    inner join cubed as city
        on city.area_level = 'kota'
        and city.period_kind = bases.period_kind
        and city.period_start = bases.period_start
        and city.desil_threshold = bases.desil_threshold
        and (
            city.low_desil in ('no', 'unknown')
            or city.stunted_child in ('no', 'unknown', 'not_applicable')
            or city.uncovered_breadwinner in ('no', 'unknown', 'not_applicable')
        )
    left join cubed
        on cubed.kemendagri_code = bases.kemendagri_code
        and cubed.area_level = bases.area_level
        and cubed.period_kind = bases.period_kind
        and cubed.period_start = bases.period_start
        and cubed.desil_threshold = bases.desil_threshold
        and cubed.low_desil = city.low_desil
        and cubed.stunted_child = city.stunted_child
        and cubed.uncovered_breadwinner = city.uncovered_breadwinner
),

measured as (
    select
        cells.period_kind,
        cells.period_start,
        cells.kemendagri_code,
        'families' as measure,
        cells.desil_threshold,
        cells.low_desil,
        cells.stunted_child,
        cells.uncovered_breadwinner,
        cells.families as numerator,
        bases.families as denominator,
        cells.numerator_low,
        cells.numerator_high,
        -- How many more may fit, beside those known to: few of all families can be most of what the row counts.
        cells.numerator_high - cells.families as unknown_count,
        case when cells.numerator_high is not null then cells.families end as answered_count
    from (
        select
            area_level, kemendagri_code, period_kind, period_start, desil_threshold, low_desil, stunted_child,
            uncovered_breadwinner, families, families as numerator_low, families_high as numerator_high
        from asked
        union all
        select
            area_level, kemendagri_code, period_kind, period_start, desil_threshold, low_desil, stunted_child,
            uncovered_breadwinner, families, null, null
        from completed
    ) as cells
    inner join bases
        on bases.kemendagri_code = cells.kemendagri_code
        and bases.area_level = cells.area_level
        and bases.period_kind = cells.period_kind
        and bases.period_start = cells.period_start
        and bases.desil_threshold = cells.desil_threshold
),

shaped as (
    {{ long_mart('convergence_by_area_period', 'measured',
        keys=['desil_threshold', 'low_desil', 'stunted_child', 'uncovered_breadwinner'],
        provides=['numerator_low', 'numerator_high', 'unknown_count', 'answered_count'], rollup=false) }}
),

arrived as (
    select dataset, max({{ jakarta_day('received_at') }}) as received_on
    from {{ source('ledger', 'deliveries_in_force') }}
    group by dataset
),

dates as (
    -- What each of the three was last known by: a period still running is told by the months that came, not by its end.
    {%- set inputs = {
        'poverty': ('bps/social_registry_families', dbt.dateadd('day', -1, add_months(3, 'span.registry_period'))),
        'stunting': ('kemenkes/eppgbm', dbt.last_day('span.measured_month', 'month')),
        'coverage': ('bpjstk/participants', dbt.last_day('span.coverage_month', 'month')),
    } %}
    select
        span.period_kind,
        span.period_start
        {%- for name, (dataset, last_day) in inputs.items() %},
        -- What nobody measured has no day.
        case when {{ last_day }} is not null
            then cast(least({{ last_day }}, {{ name }}.received_on) as date) end as as_of_{{ name }}
        {%- endfor %}
    from (
        select distinct period_kind, period_start, registry_period, measured_month, coverage_month
        from {{ ref('family_situation') }}
    ) as span
    {%- for name, (dataset, last_day) in inputs.items() %}
    left join arrived as {{ name }} on {{ name }}.dataset = '{{ dataset }}'
    {%- endfor %}
)

select
    shaped.*,
    dates.as_of_poverty,
    dates.as_of_stunting,
    dates.as_of_coverage,
    -- Where every place among the others is possible, no order can be told.
    case when ranks.areas = 1 or ranks.area_rank_low > 1 or ranks.area_rank_high < ranks.areas then ranks.area_rank end
        as area_rank,
    ranks.area_rank_low,
    ranks.area_rank_high
from shaped
inner join dates on dates.period_kind = shaped.period_kind and dates.period_start = shaped.period_start
left join ranks
    on ranks.kemendagri_code = shaped.kemendagri_code
    and ranks.period_kind = shaped.period_kind
    and ranks.period_start = shaped.period_start
    and ranks.desil_threshold = shaped.desil_threshold
    and shaped.low_desil = 'yes'
    and shaped.stunted_child = 'yes'
    and shaped.uncovered_breadwinner = 'yes'
