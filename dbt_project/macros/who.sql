{#
WHO Child Growth Standards 2006 in SQL, with the rules of WHO's own programs (igrowup, anthro).

    who_zscores(relation, below_days=none)   one row per row of `relation`, which has
        record_key
        sex              1 boy, 2 girl
        age_days         age at measurement; NULL when unknown
        weight_kg        unrounded
        height_cm        length or height as measured, unrounded
        measured_how     'lying', 'standing' or NULL
        has_oedema       true takes all z-scores made of weight away
    and gives: record_key, has_oedema, size_cm (length or height as the standard wants it), is_length, bmi, haz, waz, whz,
    baz (two decimals) and is_haz_flagged, is_waz_flagged, is_whz_flagged, is_baz_flagged (NULL where the z-score is).

The rules, in the order they act:
  * below 731 days the standard is of length, from then on of height; a child measured the other way is corrected by 0.7 cm;
  * under nine months "standing" is taken for an error and ignored, so nothing is added;
  * a blank way of measuring is taken as the standard's own; without an age, lying or below 87 cm means length;
  * from 60 completed months (30.4375 days each) no z-score is given (`below_days` moves the end, for WHO's own survey);
  * weight-for-length 45-110 cm, weight-for-height 65-120 cm, interpolated linearly between rows of 0.1 cm;
  * height-for-age is plain LMS; beyond 3 SD the indices of weight go on in steps of the distance between 2 and 3 SD;
  * z-scores are rounded to two decimals before flags are set and before anyone compares them with a cut-off.
#}

{% macro who_zscores(relation, below_days=none) %}
{%- set measured = who_measured(relation, below_days or who_sixty_months_days()) -%}
select
    scored.record_key,
    scored.has_oedema,
    scored.size_cm,
    scored.is_length,
    scored.bmi,
    scored.haz,
    scored.waz,
    scored.whz,
    scored.baz,
    abs(scored.haz) > 6 as is_haz_flagged,
    scored.waz < -6 or scored.waz > 5 as is_waz_flagged,
    abs(scored.whz) > 5 as is_whz_flagged,
    abs(scored.baz) > 5 as is_baz_flagged
from (
    select
        child.record_key,
        child.has_oedema,
        child.size_cm,
        child.is_length,
        child.bmi,
        {{ round_half_away(lms_z('child.size_cm', 'lhfa.l', 'lhfa.m', 'lhfa.s', false), 2) }} as haz,
        {{ round_half_away(lms_z('child.weight_kg', 'wfa.l', 'wfa.m', 'wfa.s', true), 2) }} as waz,
        {{ round_half_away(lms_z('child.weight_kg', 'wfs.l', 'wfs.m', 'wfs.s', true), 2) }} as whz,
        {{ round_half_away(lms_z('child.bmi', 'bfa.l', 'bfa.m', 'bfa.s', true), 2) }} as baz
    from ({{ measured }}) as child
    left join {{ ref('who2006_lhfa') }} as lhfa
        on lhfa.sex = child.sex and lhfa.age_days = child.standard_age_days
    left join {{ ref('who2006_wfa') }} as wfa
        on wfa.sex = child.sex and wfa.age_days = child.standard_age_days
    left join {{ ref('who2006_bfa') }} as bfa
        on bfa.sex = child.sex and bfa.age_days = child.standard_age_days
    left join (
        select
            child.record_key,
            {%- for value in ['l', 'm', 's'] %}
            row_below.{{ value }} + child.beyond_row * (row_below.next_{{ value }} - row_below.{{ value }}) as {{ value }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from ({{ measured }}) as child
        inner join {{ ref('who_weight_for_size') }} as row_below
            on row_below.standard = case when child.is_length then 'length' else 'height' end
            and row_below.sex = child.sex
            and row_below.size_tenths = child.row_below
        where child.has_standard
            and child.size_cm <= case when child.is_length then 110 else 120 end
    ) as wfs on wfs.record_key = child.record_key
) as scored
{% endmacro %}


{# Length or height as the standard wants it, the body mass index, and where in the tables to look. #}
{% macro who_measured(relation, below_days) -%}
select
    sized.record_key,
    sized.sex,
    sized.has_oedema,
    sized.size_cm,
    sized.is_length,
    sized.has_standard,
    case when sized.has_standard then sized.age_days end as standard_age_days,
    sized.usable_weight_kg as weight_kg,
    sized.usable_weight_kg / (sized.size_cm / 100.0 * sized.size_cm / 100.0) as bmi,
    cast(floor(sized.size_cm * 10) as integer) as row_below,
    sized.size_cm * 10 - floor(sized.size_cm * 10) as beyond_row
from (
    select
        believed.record_key,
        believed.sex,
        believed.age_days,
        believed.is_length,
        believed.has_oedema,
        coalesce(believed.age_days < {{ below_days }}, true) as has_standard,
        case when not believed.has_oedema then believed.weight_kg end as usable_weight_kg,
        believed.height_cm + case
            when believed.age_days is null or believed.believed_how is null then 0.0
            when believed.is_length and believed.believed_how = 'standing' then 0.7
            when not believed.is_length and believed.believed_how = 'lying' then -0.7
            else 0.0
        end as size_cm
    from (
        select
            raw.record_key,
            raw.sex,
            raw.age_days,
            coalesce(raw.has_oedema, false) as has_oedema,
            cast(raw.weight_kg as {{ type_double() }}) as weight_kg,
            cast(raw.height_cm as {{ type_double() }}) as height_cm,
            case when raw.measured_how = 'standing' and raw.age_days < {{ who_nine_months_days() }} then null
                else raw.measured_how end as believed_how,
            case
                when raw.age_days is not null then raw.age_days < {{ who_height_from_days() }}
                when raw.measured_how is not null then raw.measured_how = 'lying'
                else raw.height_cm < 87
            end as is_length
        from {{ relation }} as raw
    ) as believed
) as sized
{%- endmacro %}

{# Ages in days: 24, 9 and 60 months of 30.4375 days. Age 24 months is 730.5 days, which WHO rounds up. #}
{% macro who_height_from_days() -%}731{%- endmacro %}
{% macro who_nine_months_days() -%}273.9375{%- endmacro %}
{% macro who_sixty_months_days() -%}1826.25{%- endmacro %}


{# Standard score of y under the LMS method; `restricted` goes on linearly beyond 3 SD, as WHO does for indices of weight. #}
{% macro lms_z(y, l, m, s, restricted) -%}
{%- set plain = lms_plain_z(y, l, m, s) -%}
{%- if restricted -%}
case
    when {{ plain }} > 3 then 3 + ({{ y }} - {{ lms_value(3, l, m, s) }}) / ({{ lms_value(3, l, m, s) }} - {{ lms_value(2, l, m, s) }})
    when {{ plain }} < -3 then -3 + ({{ y }} - {{ lms_value(-3, l, m, s) }}) / ({{ lms_value(-2, l, m, s) }} - {{ lms_value(-3, l, m, s) }})
    else {{ plain }}
end
{%- else -%}
{{ plain }}
{%- endif -%}
{%- endmacro %}

{% macro lms_plain_z(y, l, m, s) -%}
case when {{ l }} = 0 then ln({{ y }} / {{ m }}) / {{ s }} else (power({{ y }} / {{ m }}, {{ l }}) - 1) / ({{ s }} * {{ l }}) end
{%- endmacro %}

{# The measurement that lies `sd` standard deviations from the median. #}
{% macro lms_value(sd, l, m, s) -%}
case when {{ l }} = 0 then {{ m }} * exp({{ s }} * ({{ sd }})) else {{ m }} * power(1 + {{ l }} * {{ s }} * ({{ sd }}), 1.0 / {{ l }}) end
{%- endmacro %}


{#
Category of a rounded z-score by Permenkes 2/2020, joined from the cutoffs: `alias` becomes a row with `category`. A child
with oedema has no z-score made of weight and the lowest category, as WHO counts it.
#}
{% macro join_permenkes(alias, index, z, has_oedema='false') -%}
left join {{ ref('permenkes2_2020_cutoffs') }} as {{ alias }}
    on {{ alias }}.index = '{{ index }}'
    and case
        when {{ z }} is null then coalesce({{ has_oedema }}, false) and {{ alias }}.lower_z is null
        else ({{ alias }}.lower_z is null or {{ z }} > {{ alias }}.lower_z
                or ({{ alias }}.includes_lower and {{ z }} = {{ alias }}.lower_z))
            and ({{ alias }}.upper_z is null or {{ z }} < {{ alias }}.upper_z
                or ({{ alias }}.includes_upper and {{ z }} = {{ alias }}.upper_z))
    end
{%- endmacro %}
