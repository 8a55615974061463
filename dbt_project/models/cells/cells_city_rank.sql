/*
The registry's families and persons by the city's own desil. They are those of the nation's rank once more: their number is taken
from there and divided, so that the difference between both rankings tells nothing. Whom the city ranks nowhere is what is left.
*/
{%- set ranks = city_ranks() %}
with ranks as (
    select period_start, family_key, desil from {{ ref('fct_welfare') }} where not {{ is_no_second_rank('ranking') }}
),

counted as (
    select period_start, kemendagri_code, family_key, 1 as families, 0 as persons
    from {{ ref('fct_welfare') }}
    where ranking = 'dtsen' and is_in_scope
    union all
    select period_start, kemendagri_code, family_key, 0, 1
    from {{ ref('fct_registry_member') }}
    where ranking = 'dtsen' and is_in_scope
)

select
    counted.period_start,
    counted.kemendagri_code
    {%- for unit in ['families', 'persons'] %},
    cast(sum(counted.{{ unit }}) as bigint) as {{ unit }}
    {%- for desil in ranks %},
    cast(sum(case when ranks.desil = '{{ desil }}' then counted.{{ unit }} else 0 end) as bigint)
        as {{ unit }}_{{ desil | replace('-', '_') }}
    {%- endfor %}
    {%- endfor %}
from counted
left join ranks on ranks.period_start = counted.period_start and ranks.family_key = counted.family_key
where counted.period_start in (select period_start from ranks)
group by counted.period_start, counted.kemendagri_code
