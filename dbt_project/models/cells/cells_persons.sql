-- Persons of families in scope, by the family's rank.
select
    period_start,
    ranking,
    desil,
    kemendagri_code,
    cast(count(*) as bigint) as persons
from {{ ref('fct_registry_member') }}
where is_in_scope and {{ is_no_second_rank('ranking') }}
group by period_start, ranking, desil, kemendagri_code
