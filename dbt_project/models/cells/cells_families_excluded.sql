-- Families the registry lists and no mart counts, by the reason.
select
    period_start,
    ranking,
    exclusion_reason,
    kemendagri_code,
    cast(count(*) as bigint) as families
from {{ ref('fct_welfare') }}
where not is_in_scope and {{ is_no_second_rank('ranking') }}
group by period_start, ranking, exclusion_reason, kemendagri_code
