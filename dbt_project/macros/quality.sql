{#
Measurement quality, one row per group, month and measure; the two quality marts differ in their group, and the gate's own
findings stand by puskesmas only: a row that was put aside has no posyandu any more.

    quality_measures(groups, with_gate=false)   groups: columns of fct_child_measurement, in the order they come out

Shares are per cent, `n` is what they are shares of. is_outside is NULL below var('quality_minimum') measurements: fewer say
nothing about how people measure. Nothing here counts stunting.
#}
{% macro quality_measures(groups, with_gate=false) %}
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
        is_measured_how_missing,
        haz,
        waz,
        whz,
        exported_haz,
        exported_waz,
        exported_whz,
        haz_category,
        waz_category,
        whz_category,
        exported_haz_category,
        exported_waz_category,
        exported_whz_category,
        is_haz_valid,
        is_waz_valid,
        is_whz_valid,
        is_haz_flagged,
        is_waz_flagged,
        is_whz_flagged,
        entry_lag_days,
        length_cm,
        lag(length_cm) over sized as previous_length_cm,
        lag(age_days) over sized as previous_sized_age_days,
        min(case when is_haz_valid then haz end) over (
            partition by person_key order by age_days range between 183 preceding and 1 preceding
        ) as lowest_recent_haz,
        row_number() over (partition by person_key, age_days order by received_at, record_key) as entry
    from (
        -- The standards turn from length to height at 731 days, 0.7 cm shorter: a child does not shrink by that.
        select
            fact.*,
            size_cm + case when age_days < {{ who_height_from_days() }} then 0.0 else 0.7 end as length_cm
        from {{ ref('fct_child_measurement') }} as fact
    ) as sizes
    window sized as (partition by person_key, length_cm is not null order by age_days, received_at, record_key)
),

observed as (
    {%- set shares = [
        ('digit0_5_weight', first_decimal('weight_kg') ~ ' in (0, 5)', 'weight_kg is not null'),
        ('digit0_5_height', first_decimal('height_cm') ~ ' in (0, 5)', 'height_cm is not null'),
        ('age_heaping', 'mod(age_months, 6) = 0', 'age_months is not null'),
        ('flagged_haz', 'is_haz_flagged', 'haz is not null'),
        ('flagged_waz', 'is_waz_flagged', 'waz is not null'),
        ('flagged_whz', 'is_whz_flagged', 'whz is not null'),
        ('shrank', 'round(length_cm - previous_length_cm, 2) < -1',
            'length_cm is not null and previous_sized_age_days < age_days'),
        ('implausible_gain', 'round(haz - lowest_recent_haz, 2) > 2', 'is_haz_valid and lowest_recent_haz is not null'),
        ('measured_how_missing', 'is_measured_how_missing', 'height_cm is not null'),
        ('without_nik', 'not has_nik', 'true'),
    ] -%}
    {%- for z in ['haz', 'waz', 'whz'] -%}
        {%- do shares.append(('label_agreement_' ~ z, z ~ '_category = exported_' ~ z ~ '_category',
            z ~ '_category is not null and exported_' ~ z ~ '_category is not null')) -%}
        {%- do shares.append(('zscore_agreement_' ~ z, 'round(abs(' ~ z ~ ' - exported_' ~ z ~ '), 2) <= 0.05',
            z ~ ' is not null and exported_' ~ z ~ ' is not null')) -%}
    {%- endfor -%}
    {%- for measure, condition, base in shares %}
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
    union all
    select
        {{ grouped }}, measured_month, 'duplicates', sum(rows_seen),
        cast(100.0 * sum(rows_repeated) / sum(rows_seen) as {{ type_double() }})
    from (
        select {{ grouped }}, measured_month, 1 as rows_seen, case when entry > 1 then 1 else 0 end as rows_repeated
        from measurements
        {%- if with_gate %}
        -- Repeats within one file never get this far: the gate puts them aside and they are counted all the same.
        union all
        select {{ grouped }}, measured_month, rows_repeated, rows_repeated
        from {{ ref('eppgbm_put_aside') }}
        {%- endif %}
    ) as repeats
    group by {{ grouped }}, measured_month
    having sum(rows_seen) > 0
    {%- if with_gate %}
    {%- for measure, column in [
        ('quarantined', 'rows_put_aside'),
        ('quarantined_consistency', 'rows_inconsistent'),
        ('quarantined_plausibility', 'rows_implausible'),
        ('quarantined_validity', 'rows_invalid'),
        ('quarantined_completeness', 'rows_incomplete'),
    ] %}
    union all
    select
        {{ grouped }}, measured_month, '{{ measure }}', rows_read,
        cast(100.0 * {{ column }} / rows_read as {{ type_double() }})
    from {{ ref('eppgbm_put_aside') }}
    where rows_read > 0
    {%- endfor %}
    {%- endif %}
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


{# First decimal of a measure, whatever further decimals it has: 10.45 gives 4. #}
{% macro first_decimal(expression) -%}
mod(cast(floor(round({{ expression }} * 100) / 10) as integer), 10)
{%- endmacro %}


{#
A posyandu's name as one spelling: "Posyandu Melati I", "MELATI-01" and "melati 1" are MELATI1. Roman numbers count as
numbers at the end only. NULL where nothing is left of the name.
#}
{% macro posyandu_spelling(expression) -%}
{%- set plain = "concat(' ', " ~ replace_all("upper(" ~ expression ~ ")", "[^A-Z0-9]+", " ") ~ ", ' ')" -%}
{%- set steps = namespace(sql=replace_all(replace_all(plain, "^ +(POSYANDU|POS) ", " "), " 0+", " ")) -%}
{%- for roman in ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X'] -%}
    {%- set steps.sql = replace_all(steps.sql, " " ~ roman ~ " +$", " " ~ loop.index) -%}
{%- endfor -%}
nullif({{ replace_all(steps.sql, " +", "") }}, '')
{%- endmacro %}
