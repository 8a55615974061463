-- Families of the registry, as its newest quarter describes them.
with described as (
    select
        family_key,
        kemendagri_code,
        person_count,
        is_in_scope,
        period_start,
        min(period_start) over (partition by family_key) as first_listed,
        row_number() over (
            partition by family_key order by period_start desc, case when is_in_scope then 0 else 1 end asc, ranking asc
        ) as newest_first
    from {{ ref('fct_welfare') }}
)

select
    family_key,
    kemendagri_code,
    person_count,
    is_in_scope,
    first_listed as registry_first_period,
    period_start as registry_last_period
from described
where newest_first = 1
