{#
Measurement quality, one row per group, month and measure; the two quality marts differ only in their group.

    quality_measures(groups)   groups: columns of fct_child_measurement, in the order they come out

Shares are per cent, `n` is what they are shares of. is_outside is NULL below var('quality_minimum') measurements: fewer say
nothing about how people measure. Nothing here counts stunting.
#}
{% macro quality_measures(groups) %}
{%- set grouped = groups | join(', ') -%}
with measurements as (
    select
        {{ grouped }},
        measured_month,
        has_nik,
        age_days,
        age_months,
        weight_kg,
        height_cm,
        size_cm,
        is_measured_how_missing,
        haz,
        waz,
        whz,
        is_haz_valid,
        is_waz_valid,
        is_whz_valid,
        is_haz_flagged,
        is_waz_flagged,
        is_whz_flagged,
        entry_lag_days,
        lag(size_cm) over child as previous_size_cm,
        lag(case when is_haz_valid then haz end) over child as previous_haz,
        lag(age_days) over child as previous_age_days,
        row_number() over (partition by person_key, age_days order by received_at, record_key) as entry
    from {{ ref('fct_child_measurement') }}
    window child as (partition by person_key order by age_days, received_at, record_key)
),

observed as (
    {%- for measure, condition, base in [
        ('digit0_5_weight', 'mod(cast(round(weight_kg * 10) as integer), 5) = 0', 'weight_kg is not null'),
        ('digit0_5_height', 'mod(cast(round(height_cm * 10) as integer), 5) = 0', 'height_cm is not null'),
        ('age_heaping', 'mod(age_months, 6) = 0', 'age_months is not null'),
        ('flagged_haz', 'is_haz_flagged', 'haz is not null'),
        ('flagged_waz', 'is_waz_flagged', 'waz is not null'),
        ('flagged_whz', 'is_whz_flagged', 'whz is not null'),
        ('shrank', 'size_cm - previous_size_cm < -1', 'entry = 1 and previous_size_cm is not null and size_cm is not null'),
        ('implausible_gain', 'haz - previous_haz > 2', 'entry = 1 and is_haz_valid and previous_haz is not null'
            ~ ' and age_days - previous_age_days <= 183'),
        ('measured_how_missing', 'is_measured_how_missing', 'height_cm is not null'),
        ('duplicates', 'entry > 1', 'true'),
        ('without_nik', 'not has_nik', 'true'),
    ] %}
    select
        {{ grouped }}, measured_month, '{{ measure }}' as measure, count(*) as n,
        cast(100.0 * sum(case when {{ condition }} then 1 else 0 end) / count(*) as {{ type_double() }}) as statistic
    from measurements
    where {{ base }}
    group by {{ grouped }}, measured_month
    union all
    {%- endfor %}
    -- z-scores have two decimals: in hundredths their sums are whole numbers, exact in whatever order they are added.
    {%- for z in ['haz', 'waz', 'whz'] %}
    select
        {{ grouped }},
        measured_month,
        'sd_{{ z }}',
        count(*),
        cast(sqrt(
            (1.0 * count(*) * sum(hundredths * hundredths) - 1.0 * sum(hundredths) * sum(hundredths))
            / (1.0 * count(*) * (count(*) - 1))
        ) / 100 as {{ type_double() }})
    from (
        select {{ grouped }}, measured_month, cast(round({{ z }} * 100) as bigint) as hundredths
        from measurements
        where is_{{ z }}_valid
    ) as scores
    group by {{ grouped }}, measured_month
    having count(*) > 1
    union all
    {%- endfor %}
    select {{ grouped }}, measured_month, 'entry_lag_days', count(*), cast(median(entry_lag_days) as {{ type_double() }})
    from measurements
    where entry_lag_days is not null
    group by {{ grouped }}, measured_month
)

select
    {%- for column in groups %}
    observed.{{ column }},
    {%- endfor %}
    observed.measured_month as period_start,
    observed.measure,
    cast(observed.n as bigint) as n,
    observed.statistic,
    band.expected_low,
    band.expected_high,
    case when observed.n >= {{ var('quality_minimum') }}
        then observed.statistic < band.expected_low or observed.statistic > band.expected_high end as is_outside
from observed
inner join {{ ref('quality_bands') }} as band on band.measure = observed.measure
{% endmacro %}
