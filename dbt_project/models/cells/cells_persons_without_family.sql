-- Persons of the registry's individuals who belong to no family it lists.
select
    period_start,
    ranking,
    kemendagri_code,
    cast(count(*) as bigint) as persons
from {{ ref('fct_registry_member') }}
where exclusion_reason = 'family_not_listed'
group by period_start, ranking, kemendagri_code
