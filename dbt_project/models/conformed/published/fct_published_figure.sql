/*
Figures others publish, as published. A figure is known by indicator, area, period, source and vintage; a later vintage of
the same figure does not overwrite an earlier one, it is the latest. An indicator has one unit, whoever publishes it: gates let no
other in. Most figures are one row of a file; source_rows names each row of a sum.
*/
{%- set row_text = 'cast(source_row as ' ~ dbt.type_string() ~ ')' %}
{%- set all_rows = dbt.listagg(row_text, "', '", 'order by source_row') %}
with bps as (
    select
        case variable_id
            when '619' then 'poor_persons_thousand'
            when '621' then 'p0'
            when '622' then 'p1'
            when '623' then 'p2'
            when '624' then 'poverty_line_idr'
            when '1' then 'inflation_monthly'
        end as indicator,
        'bps' as source_system,
        bps_code,
        area_name,
        cast(null as {{ dbt.type_string() }}) as province_name,
        case when part_of_year = '0' then cast(year_number as {{ dbt.type_string() }})
            else {{ dbt.concat([
                'cast(year_number as ' ~ dbt.type_string() ~ ')', "case when length(part_of_year) = 1 then '-0' else '-' end",
                'part_of_year']) }}
        end as period_label,
        value,
        cast(null as {{ dbt.type_string() }}) as unit,
        cast(null as double) as ci95_low,
        cast(null as double) as ci95_high,
        {{ dbt.concat(["'BPS WebAPI, variabel '", 'variable_id']) }} as source_title,
        -- The day BPS last changed the table, not the day on which we asked. What it says last counts: an answer put back to an
        -- earlier one is no older than the one that it takes back.
        max({{ dbt.safe_cast('substring(last_update, 1, 10)', 'date') }}) over (
            partition by variable_id, bps_code, area_name, year_number, part_of_year
            order by received_at, source_row
            rows between unbounded preceding and current row
        ) as published_on,
        received_at, {{ lineage_columns() }}, {{ row_text }} as source_rows
    from {{ ref('stg_bps__indicators') }}
    where second_dimension = '0'
),

by_hand as (
    select
        indicator, source_system, bps_code, area_name, province_name, period_label, value, unit, ci95_low, ci95_high,
        source_title, published_on, received_at, {{ lineage_columns() }}, {{ row_text }}
    from {{ ref('stg_published__official_figures') }}
),

portal_poverty as (
    select
        indicator,
        'portal',
        bps_code,
        area_name,
        cast(null as {{ dbt.type_string() }}),
        cast(title_year as {{ dbt.type_string() }}),
        value,
        null, null, null, title, null, received_at, {{ lineage_columns() }}, {{ row_text }}
    from {{ ref('stg_portal__poverty_indicators') }}
),

portal_city as (
    select
        'investment_idr' as indicator,
        {{ dbt.concat(['cast(year_number as ' ~ dbt.type_string() ~ ')', "'-Q'",
            'cast(quarter_number as ' ~ dbt.type_string() ~ ')']) }} as period_label,
        sum(investment_idr) as value,
        'Realisasi investasi PMA dan PMDN' as source_title,
        received_at, delivery_id, min(source_part) as source_part, min(source_row) as source_row, {{ all_rows }} as source_rows
    from {{ ref('stg_portal__investment') }}
    group by year_number, quarter_number, received_at, delivery_id
    union all
    select
        'domestic_products_share',
        cast(year_number as {{ dbt.type_string() }}),
        100.0 * sum(domestic_spending_idr) / nullif(sum(spending_idr), 0),
        'Belanja produk dalam negeri perangkat daerah',
        received_at, delivery_id, min(source_part), min(source_row), {{ all_rows }}
    from {{ ref('stg_portal__domestic_products') }}
    group by year_number, received_at, delivery_id
    union all
    select
        'spbe_index',
        cast(year_number as {{ dbt.type_string() }}),
        value,
        'Indeks SPBE',
        received_at, {{ lineage_columns() }}, {{ row_text }}
    from {{ ref('stg_portal__digital_services') }}
    where upper(indicator_name) = 'INDEKS SPBE'
),

figures as (
    select * from bps
    union all
    select * from by_hand
    union all
    select * from portal_poverty
    union all
    select
        indicator, 'portal', city.bps_code, city.name, null, period_label, value, null, null, null, source_title, null,
        received_at, delivery_id, source_part, source_row, source_rows
    from portal_city
    cross join (select bps_code, name from {{ ref('dim_region') }} where kemendagri_code = '{{ var("city") }}') as city
),

dated as (
    select
        figures.*,
        coalesce(period.period_kind, 'snapshot') as period_kind,
        coalesce(period.period_start, {{ dbt.safe_cast('figures.period_label', 'date') }}) as period_start,
        -- A website states no day of publication: the day it reached us stands for the vintage.
        coalesce(figures.published_on, {{ jakarta_day('figures.received_at') }}) as source_release_date
    from figures
    left join {{ ref('dim_period') }} as period on period.label = figures.period_label
    where figures.indicator is not null and figures.value is not null
),

placed as (
    select
        dated.*,
        region.kemendagri_code,
        region.area_level,
        coalesce(region.name, dated.area_name) as shown_name,
        -- GORONTALO is a province and Gorontalo one of its regencies: a name tells them apart by its case at best.
        coalesce(
            region.kemendagri_code,
            dated.bps_code,
            {{ dbt.concat(["coalesce(dated.province_name, '')", "' '", 'dated.area_name']) }}
        ) as area_identity
    from dated
    left join {{ ref('dim_region') }} as region on region.bps_code = dated.bps_code
    where dated.period_start is not null
),

ordered as (
    select
        *,
        lag(value) over figure as value_before
    from placed
    window figure as (
        partition by indicator, area_identity, period_kind, period_start, source_system, source_title
        order by source_release_date, received_at, source_row
    )
),

-- The same value again is no new vintage: the copy that arrived first stands for it. Of two copies of one day's vintage,
-- an API's and one keyed in by hand, the one that arrived last counts.
copies as (
    select
        *,
        row_number() over (
            partition by indicator, area_identity, period_kind, period_start, source_system, source_release_date
            order by received_at desc, source_title desc, source_row desc
        ) as last_first
    from ordered
    where value_before is null or value <> value_before
),

vintages as (
    select
        *,
        row_number() over (
            partition by indicator, area_identity, period_kind, period_start, source_system
            order by source_release_date desc, received_at desc, source_title desc, source_row desc
        ) as newest_first
    from copies
    where last_first = 1
)

select
    indicator,
    source_system,
    coalesce(area_level, 'other') as area_level,
    kemendagri_code,
    bps_code,
    shown_name as area_name,
    province_name,
    period_kind,
    period_start,
    source_release_date,
    value,
    case
        when indicator in ('p1', 'p2') then 'index'
        when indicator = 'poor_persons_thousand' then 'thousand persons'
        when indicator = 'poverty_line_idr' then 'IDR per person and month'
        when indicator = 'investment_idr' then 'IDR'
        when indicator = 'spbe_index' then 'index 1-5'
        when indicator in (
            'p0', 'non_poor_share', 'extreme_poverty', 'stunting', 'wasting', 'underweight', 'overweight', 'jkn_coverage', 'ucj',
            'inflation_monthly', 'inflation_yoy', 'domestic_products_share'
        ) then 'percent'
        when indicator in (
            'jkn_participants', 'jkn_pbi_apbd', 'jamsostek_participants', 'jamsostek_pu', 'jamsostek_bpu', 'jamsostek_jakon',
            'active_workers', 'labour_force', 'pbpu_workers', 'population', 'under_five_population'
        ) then 'persons'
        else unit
    end as unit,
    ci95_low,
    ci95_high,
    newest_first = 1 as is_latest,
    source_title,
    received_at,
    {{ lineage_columns() }},
    source_rows
from vintages
