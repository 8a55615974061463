-- Families in scope by rank: what every mart about families counts, so that all of them print the same number.
select
    period_start,
    ranking,
    desil,
    kemendagri_code,
    cast(count(*) as bigint) as families
from {{ ref('fct_welfare') }}
where is_in_scope and {{ is_no_second_rank('ranking') }}
group by period_start, ranking, desil, kemendagri_code
