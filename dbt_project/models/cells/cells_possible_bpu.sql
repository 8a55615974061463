/*
Residents who are not firmly known to be BPU participants with JKK and JKM, and may be while a link waits for a decision: what
the upper bound of code 06.02.021 adds.
*/
with months as (
    select month_start, registry_period, ranking from {{ ref('registry_in_effect') }} where is_main
),

firm as (
    select
        period_start,
        person_key,
        max(cast(has_jkk as int)) as has_jkk,
        max(cast(has_jkm as int)) as has_jkm
    from {{ ref('fct_participation') }}
    where is_active and segment = 'BPU'
    group by period_start, person_key
)

select
    possible.period_start,
    resident.kemendagri_code,
    cast(count(*) as bigint) as persons
from {{ ref('possible_participation') }} as possible
inner join months on months.month_start = possible.period_start
inner join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = possible.person_key
    and resident.period_start = months.registry_period
    and resident.ranking = months.ranking
    and resident.is_in_scope
left join firm on firm.person_key = possible.person_key and firm.period_start = possible.period_start
where possible.segment = 'BPU'
    and greatest(possible.has_jkk, coalesce(firm.has_jkk, 0)) = 1
    and greatest(possible.has_jkm, coalesce(firm.has_jkm, 0)) = 1
    and coalesce(firm.has_jkk, 0) + coalesce(firm.has_jkm, 0) < 2
group by possible.period_start, resident.kemendagri_code
