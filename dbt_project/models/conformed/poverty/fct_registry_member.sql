/*
The registry's people and their work. A person listed twice in a quarter counts once: in a family that counts, else in the
row read last. Age is at the quarter's end, from the gate.
*/
with links as (
    select record_key, person_key, family_key, band
    from {{ source('linkage', 'identity_links') }}
    where dataset = 'bps/social_registry_individuals'
),

rankings as (
    -- Whoever belongs to no listed family stands beside the ranking of the quarter.
    select period_start, min(ranking) as ranking
    from {{ ref('fct_welfare') }}
    where {{ is_no_second_rank('ranking') }}
    group by period_start
),

placed as (
    select
        individual.*,
        coalesce(links.person_key, individual.record_key) as person_key,
        links.band as link_band,
        family.family_key,
        coalesce(family.ranking, rankings.ranking, 'dtsen') as ranking,
        coalesce(family.desil, 'unknown') as desil,
        coalesce(family.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code,
        coalesce(family.is_in_scope, false) as is_in_scope,
        case when family.family_key is null then 'family_not_listed' else family.exclusion_reason end as exclusion_reason
    from {{ ref('stg_bps__social_registry_individuals') }} as individual
    left join links on links.record_key = individual.record_key
    left join {{ ref('fct_welfare') }} as family
        on family.family_key = links.family_key and family.period_start = individual.period_start
    left join rankings on rankings.period_start = individual.period_start
),

ordered as (
    select
        placed.*,
        row_number() over (
            partition by person_key, period_start, ranking
            order by
                case when is_in_scope then 0 when family_key is not null then 1 else 2 end,
                received_at desc,
                source_row desc
        ) as best_first
    from placed
)

select
    person_key,
    family_key,
    ranking,
    period_start,
    kemendagri_code,
    desil,
    is_in_scope,
    exclusion_reason,
    nik_key is not null as has_usable_nik,
    link_band,
    sex_code,
    relation_code,
    age_years,
    school_code,
    case
        when working_code = '1' then true
        when working_code = '2' then false
        when work_status_code is not null then true
    end as is_working,
    sector_code,
    work_status_code,
    cast({{ desil_agrees('member_desil', 'desil') }} as bigint) as desil_agrees,
    {{ worker_segment('work_status_code') }} as worker_segment,
    {{ worker_group('work_status_code', 'sector_code', 'relation_code') }} as worker_group,
    {{ lineage_columns() }}
from ordered
where best_first = 1
