{#
Measurement quality, one row per group, month and measure; the two quality marts differ in their group, and the gate's own
findings stand by puskesmas only: a row that was put aside has no posyandu any more.

    quality_measures(groups, statistic_from, share_from=1, with_gate=false)
        groups           keys of cells_quality_posyandu, in the order they come out
        statistic_from   fewest measurements behind a statistic that is no ratio of counts
        share_from       fewest behind one that is

Shares are per cent, `n` is what they are shares of. is_outside is NULL below var('quality_minimum') measurements: fewer say
nothing about how people measure. Above, the band of what is sampled is as much wider as 95% of samples of `n` would stray from
its edge: by the standard error of a share, or of the standard deviation of a normal variable. Nothing here counts stunting.
#}
{% macro quality_measures(groups, statistic_from, share_from=1, with_gate=false) %}
{%- set grouped = groups | join(', ') -%}
{%- set gate = ['rows_put_aside', 'rows_repeated', 'rows_inconsistent', 'rows_implausible', 'rows_invalid', 'rows_incomplete',
    'rows_elsewhere'] -%}
with counted as (
    {%- if with_gate %}
    select
        coalesce(cells.puskesmas, own.puskesmas) as puskesmas,
        coalesce(cells.period_start, own.period_start) as period_start
        {%- for name in quality_counts() %}, coalesce(cells.{{ name }}, 0) as {{ name }}{% endfor %}
        {%- for name in gate %}, coalesce(own.{{ name }}, 0) as {{ name }}{% endfor %}
        {%- for name in quality_statistics() %}, own.{{ name }}{% endfor %}
    from (
        select puskesmas, period_start{% for name in quality_counts() %}, sum({{ name }}) as {{ name }}{% endfor %}
        from {{ ref('cells_quality_posyandu') }}
        group by puskesmas, period_start
    ) as cells
    full outer join {{ ref('cells_quality_puskesmas') }} as own
        on own.puskesmas = cells.puskesmas and own.period_start = cells.period_start
    {%- else %}
    select * from {{ ref('cells_quality_posyandu') }}
    {%- endif %}
),

observed as (
    -- Measure, what shows it, of what.
    {%- set shares = [
        ('digit0_5_weight', 'weight_rounded', 'weighed'),
        ('digit0_5_height', 'height_rounded', 'height_measured'),
        ('age_heaping', 'age_heaped', 'age_known'),
        ('shrank', 'shrank', 'height_followed'),
        ('implausible_gain', 'gained', 'haz_followed'),
        ('measured_how_missing', 'how_missing', 'height_measured'),
        ('without_nik', 'without_nik', 'measurements'),
        ('duplicates', 'repeated + rows_repeated', 'measurements + rows_repeated') if with_gate
            else ('duplicates', 'repeated', 'measurements'),
    ] -%}
    {%- for z in ['haz', 'waz', 'whz'] -%}
        {%- do shares.append(('flagged_' ~ z, z ~ '_scored - ' ~ z ~ '_valid', z ~ '_scored')) -%}
        {%- do shares.append(('label_agreement_' ~ z, z ~ '_label_agreed', z ~ '_labelled')) -%}
        {%- do shares.append(('zscore_agreement_' ~ z, z ~ '_score_agreed', z ~ '_scored_by_both')) -%}
    {%- endfor -%}
    {%- if with_gate -%}
        {%- for measure, hits in [('quarantined', 'rows_put_aside'), ('quarantined_consistency', 'rows_inconsistent'),
            ('quarantined_plausibility', 'rows_implausible'), ('quarantined_validity', 'rows_invalid'),
            ('quarantined_completeness', 'rows_incomplete')] -%}
            {%- do shares.append((measure, hits, 'in_file_month + rows_elsewhere + rows_put_aside')) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for measure, hits, base in shares %}
    select
        {{ grouped }}, period_start, '{{ measure }}' as measure, {{ base }} as n,
        case when {{ base }} >= {{ share_from }} and not ({{ says_all('(' ~ hits ~ ')', '(' ~ base ~ ')') }})
            then cast(100.0 * ({{ hits }}) / ({{ base }}) as {{ type_double() }}) end as statistic
    from counted
    where {{ base }} > 0
    union all
    {%- endfor %}
    {%- for statistic, base, fewest in [('sd_haz', 'haz_valid', 2), ('sd_waz', 'waz_valid', 2), ('sd_whz', 'whz_valid', 2),
        ('entry_lag_days', 'lag_known', 1)] %}
    select
        {{ grouped }}, period_start, '{{ statistic }}', {{ base }},
        case when {{ base }} >= {{ statistic_from }} then {{ statistic }} end
    from counted
    where {{ base }} >= {{ fewest }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    {%- for column in groups %}
    observed.{{ column }},
    {%- endfor %}
    observed.period_start,
    observed.measure,
    cast(observed.n as bigint) as n,
    observed.statistic,
    band.expected_low,
    band.expected_high,
    case when observed.n >= {{ var('quality_minimum') }} then
        observed.statistic < band.expected_low - {{ stray('band.expected_low') }}
        or observed.statistic > band.expected_high + {{ stray('band.expected_high') }}
    end as is_outside,
    false as is_rounded
from observed
inner join {{ ref('quality_bands') }} as band on band.measure = observed.measure
{% endmacro %}


{# How far from the edge of a band a month's measurements may stray by chance; what counts every row does not. #}
{% macro stray(edge) -%}
cast({{ var('z95') }} as {{ type_double() }}) * case
            when band.sampling = 'share' then sqrt(cast({{ edge }} * (100 - {{ edge }}) as {{ type_double() }}) / observed.n)
            when band.sampling = 'sd' then {{ edge }} / sqrt(2.0 * (observed.n - 1))
            else 0
        end
{%- endmacro %}


{# Counts of cells_quality_posyandu, each with what makes a measurement count. #}
{% macro quality_conditions() -%}
{%- set conditions = {
    'measurements': 'true',
    'in_file_month': 'file_month = measured_month',
    'without_nik': 'not has_nik',
    'repeated': 'entry > 1',
    'age_known': 'age_months is not null',
    'age_heaped': 'mod(age_months, 6) = 0',
    'lag_known': 'entry_lag_days is not null',
    'weighed': 'weight_kg is not null',
    'weight_rounded': first_decimal('weight_kg') ~ ' in (0, 5)',
    'height_measured': 'height_cm is not null',
    'height_rounded': first_decimal('height_cm') ~ ' in (0, 5)',
    'how_missing': 'height_cm is not null and is_measured_how_missing',
    'height_followed': 'length_cm is not null and previous_sized_age_days < age_days',
    'shrank': 'previous_sized_age_days < age_days and round(length_cm - previous_length_cm, 2) < -1',
    'haz_followed': 'is_haz_valid and lowest_recent_haz is not null',
    'gained': 'is_haz_valid and round(haz - lowest_recent_haz, 2) > 2',
} -%}
{%- for z in ['haz', 'waz', 'whz'] -%}
    {%- do conditions.update({
        z ~ '_scored': z ~ ' is not null',
        z ~ '_valid': z ~ ' is not null and is_' ~ z ~ '_valid',
        z ~ '_labelled': z ~ '_category is not null and exported_' ~ z ~ '_category is not null',
        z ~ '_label_agreed': z ~ '_category = exported_' ~ z ~ '_category',
        z ~ '_scored_by_both': z ~ ' is not null and exported_' ~ z ~ ' is not null',
        z ~ '_score_agreed': 'round(abs(' ~ z ~ ' - exported_' ~ z ~ '), 2) <= 0.05',
    }) -%}
{%- endfor -%}
{{ return(conditions) }}
{%- endmacro %}


{% macro quality_counts() -%}
{{ return(quality_conditions().keys() | list) }}
{%- endmacro %}


{% macro quality_statistics() -%}
{{ return(['sd_haz', 'sd_waz', 'sd_whz', 'entry_lag_days']) }}
{%- endmacro %}


{# Statistics of measurements that are no ratio of counts, to select by group. #}
{% macro select_quality_statistics() -%}
    -- z-scores have two decimals: in hundredths their sums are whole numbers, exact in whatever order they are added.
    {%- for z in ['haz', 'waz', 'whz'] %}
    {%- set score = 'case when is_' ~ z ~ '_valid then cast(round(' ~ z ~ ' * 100) as bigint) end' %}
    -- Divided as doubles: Spark keeps six decimals of a quotient of decimals.
    cast(sqrt(
        cast(1.0 * count({{ score }}) * sum(({{ score }}) * ({{ score }})) - 1.0 * sum({{ score }}) * sum({{ score }})
            as {{ type_double() }})
        / nullif(cast(count({{ score }}) * (count({{ score }}) - 1) as {{ type_double() }}), 0)
    ) / 100 as {{ type_double() }}) as sd_{{ z }},
    {%- endfor %}
    cast(median(entry_lag_days) as {{ type_double() }}) as entry_lag_days
{%- endmacro %}


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
