-- Persons of families whose registry asks for expenditure, by the area whose poverty line they stand beside.
select
    period_start,
    ranking,
    area_code,
    kemendagri_code,
    cast(sum(person_count) as bigint) as persons,
    cast(sum(case when expenditure_per_head_idr is not null then person_count else 0 end) as bigint) as persons_stated,
    cast(sum(case when expenditure_per_head_idr < poverty_line_idr then person_count else 0 end) as bigint) as persons_below
from {{ ref('family_spending') }}
group by period_start, ranking, area_code, kemendagri_code
