/*
The registry's families and persons by a second rank of the same rows: the city's own desil, or P3KE's. They are those of the first
rank once more: their number is taken from there and divided, so that the difference between both tells nothing. Whom the second
ranks nowhere is what is left.
*/
{%- set ranks = second_ranks() %}
with firsts as (
    select period_start, family_key, ranking, kemendagri_code, is_in_scope
    from {{ ref('fct_welfare') }}
    where {{ is_no_second_rank('ranking') }}
),

seconds as (
    select period_start, family_key, ranking, desil from {{ ref('fct_welfare') }} where not {{ is_no_second_rank('ranking') }}
),

pairs as (
    select distinct firsts.period_start, firsts.ranking, seconds.ranking as second_ranking
    from firsts
    inner join seconds on seconds.period_start = firsts.period_start and seconds.family_key = firsts.family_key
),

counted as (
    select period_start, ranking, kemendagri_code, family_key, 1 as families, 0 as persons from firsts where is_in_scope
    union all
    select period_start, ranking, kemendagri_code, family_key, 0, 1
    from {{ ref('fct_registry_member') }}
    where is_in_scope and {{ is_no_second_rank('ranking') }}
)

select
    counted.period_start,
    counted.ranking,
    pairs.second_ranking,
    counted.kemendagri_code
    {%- for unit in ['families', 'persons'] %},
    cast(sum(counted.{{ unit }}) as bigint) as {{ unit }}
    {%- for desil in ranks %},
    cast(sum(case when seconds.desil = '{{ desil }}' then counted.{{ unit }} else 0 end) as bigint)
        as {{ unit }}_{{ desil | replace('-', '_') }}
    {%- endfor %}
    {%- endfor %}
from counted
inner join pairs on pairs.period_start = counted.period_start and pairs.ranking = counted.ranking
left join seconds
    on seconds.period_start = counted.period_start
    and seconds.family_key = counted.family_key
    and seconds.ranking = pairs.second_ranking
group by counted.period_start, counted.ranking, pairs.second_ranking, counted.kemendagri_code
