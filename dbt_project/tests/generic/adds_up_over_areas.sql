{#
Where dim_measure says a measure adds up, the areas below (with the unplaced ones) sum to the area above, in numerator and
denominator, and every sum has a row above it. Rows with no areas below them in the mart (a figure published for the city
alone) are not compared.
#}
{% test adds_up_over_areas(model, keys=[]) %}
{%- set keys = ['period_kind', 'period_start', 'measure'] + keys %}
with rows_of_measures as (
    select mart.*, region.parent_kemendagri_code
    from {{ model }} as mart
    inner join {{ ref('dim_measure') }} as measure
        on measure.mart = '{{ model.identifier }}' and measure.measure = mart.measure and measure.is_additive
    inner join {{ ref('dim_region') }} as region on region.kemendagri_code = mart.kemendagri_code
),

below as (
    select
        parent_kemendagri_code as kemendagri_code,
        {{ keys | join(', ') }},
        sum(coalesce(numerator, 0)) as numerator,
        sum(coalesce(denominator, 0)) as denominator
    from rows_of_measures
    where area_level <> 'kota'
    group by parent_kemendagri_code, {{ keys | join(', ') }}
)

select
    below.kemendagri_code,
    {%- for key in keys %}
    below.{{ key }},
    {%- endfor %}
    above.numerator,
    below.numerator as numerator_below
from below
left join rows_of_measures as above
    on above.kemendagri_code = below.kemendagri_code
    and above.area_level <> 'kelurahan'
    {%- for key in keys %}
    and above.{{ key }} = below.{{ key }}
    {%- endfor %}
where above.area_level is null
    or coalesce(above.numerator, 0) <> below.numerator
    or coalesce(above.denominator, 0) <> below.denominator
{% endtest %}
