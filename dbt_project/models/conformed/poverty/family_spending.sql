/*
Families of a delivery whose contract has expenditure, beside the poverty line of an area they live in; those that do not state
theirs stay, as unknown. BPS publishes no line below the kota, so nobody stands beside one there.
*/
with spending as (
    select family.*
    from {{ ref('fct_welfare') }} as family
    inner join (
        select distinct delivery_id from {{ ref('fct_welfare') }} where expenditure_per_head_idr is not null
    ) as stated on stated.delivery_id = family.delivery_id
    where family.is_in_scope and {{ is_no_second_rank('family.ranking') }}
),

lines as (
    select line.kemendagri_code, line.value, line_year.period_start, line_year.period_end
    from {{ ref('fct_published_figure') }} as line
    inner join {{ ref('dim_period') }} as line_year
        on line_year.period_kind = 'year' and line_year.period_start = line.period_start
    where line.indicator = 'poverty_line_idr' and line.source_system = 'bps' and line.period_kind = 'year' and line.is_latest
)

select
    spread.family_key,
    spread.period_start,
    spread.ranking,
    spread.area_code,
    spread.kemendagri_code,
    coalesce(spread.person_count, 0) as person_count,
    spread.expenditure_per_head_idr,
    cast(lines.value as {{ type_double() }}) as poverty_line_idr
from ({{ at_each_area_level('spending') }}) as spread
inner join lines
    on lines.kemendagri_code = spread.area_code
    and spread.period_start between lines.period_start and lines.period_end
