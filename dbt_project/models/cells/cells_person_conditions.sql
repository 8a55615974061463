-- What persons in scope answer, all ranks together. Members' own ranks are DTSEN's alone.
select
    period_start,
    ranking,
    kemendagri_code,
    cast(count(*) as bigint) as persons,
    cast(count(case when ranking = 'dtsen' then desil_agrees end) as bigint) as compared,
    cast(sum(case when ranking = 'dtsen' then coalesce(desil_agrees, 0) else 0 end) as bigint) as agreeing,
    cast(sum(case when age_years between 7 and 18 then 1 else 0 end) as bigint) as of_school_age,
    cast(sum(case when age_years between 7 and 18 and school_code is not null then 1 else 0 end) as bigint) as answered,
    cast(sum(case when age_years between 7 and 18 and school_code = '2' then 1 else 0 end) as bigint) as attending
from {{ ref('fct_registry_member') }}
where is_in_scope and {{ is_no_second_rank('ranking') }}
group by period_start, ranking, kemendagri_code
