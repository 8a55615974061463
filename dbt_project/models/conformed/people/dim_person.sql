-- Everyone some agency knows, with what the newest registry says of them.
with seen as (
    select person_key, count(distinct dataset) as dataset_count
    from {{ source('linkage', 'identity_links') }}
    where person_key is not null
    group by person_key
),

registered as (
    select
        member.*,
        row_number() over (
            partition by person_key order by period_start desc, case when is_in_scope then 0 else 1 end asc, ranking asc
        ) as newest_first,
        min(period_start) over (partition by person_key) as first_listed
    from {{ ref('fct_registry_member') }} as member
)

select
    seen.person_key,
    registered.family_key,
    registered.kemendagri_code,
    registered.sex_code,
    registered.person_key is not null as is_in_registry,
    coalesce(registered.is_in_scope, false) as is_in_scope,
    registered.first_listed as registry_first_period,
    registered.period_start as registry_last_period,
    seen.dataset_count
from seen
left join registered on registered.person_key = seen.person_key and registered.newest_first = 1
