/*
Children by what a period says of them, at the finest grain that a mart prints. Two ways to say where a child belongs:
residence, and service place.
*/
{%- set counts = {
    'registered': "true",
    'weighed': "is_weighed",
    'height_measured': "is_height_measured",
    'weighed_measured': "is_weighed and is_height_measured",
    'weighed_only': "is_weighed and not is_height_measured",
    'haz_valid': "is_haz_valid",
    'haz_flagged': "is_haz_flagged",
    'waz_valid': "is_waz_valid",
    'waz_valid_measured': "is_waz_valid and is_height_measured",
    'waz_valid_only': "is_waz_valid and not is_height_measured",
    'whz_valid': "is_whz_valid",
    'stunted': "haz_category in ('severely_stunted', 'stunted')",
    'severely_stunted': "haz_category = 'severely_stunted'",
    'wasted': "whz_category in ('severely_wasted', 'wasted')",
    'severely_wasted': "whz_category = 'severely_wasted'",
    'overweight': "whz_category in ('overweight', 'obese')",
    'underweight': "waz_category in ('severely_underweight', 'underweight')",
    'labelled': "haz_category is not null and exported_haz_category is not null",
    'label_agreed': "haz_category = exported_haz_category",
    'scored_by_both': "haz_difference is not null",
    'score_agreed': "round(haz_difference, 2) <= 0.05",
    'living_elsewhere': "is_served_elsewhere",
} %}
with children as (
    select
        child.*,
        basis.area_basis,
        case basis.area_basis when 'residence' then child.kemendagri_code else child.service_kemendagri_code end as area_code,
        child.is_living_elsewhere
            -- Who cannot be placed is not known to be elsewhere.
            or (
                substring(child.kemendagri_code, 1, 8) <> substring(child.service_kemendagri_code, 1, 8)
                and '{{ var("city") }}.00' not in (
                    substring(child.kemendagri_code, 1, 8), substring(child.service_kemendagri_code, 1, 8)
                )
            ) as is_served_elsewhere
    from {{ ref('child_period') }} as child
    cross join (
        select 'residence' as area_basis
        union all
        select 'service_place'
    ) as basis
    where basis.area_basis = 'service_place' or not child.is_living_elsewhere
)

select
    period_kind,
    period_start,
    area_basis,
    age_group,
    area_code as kemendagri_code
    {%- for name, condition in counts.items() %},
    cast(sum(case when {{ condition }} then 1 else 0 end) as bigint) as {{ name }}
    {%- endfor %}
from children
group by period_kind, period_start, area_basis, age_group, area_code
