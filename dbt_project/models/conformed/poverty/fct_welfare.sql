/*
The registry's families: rank, scope, and what their housing lacks. A deprivation is 1, 0 or NULL (unanswered, or a code
that says nothing either way); NULL is never read as 0.
*/
with links as (
    select record_key, family_key
    from {{ source('linkage', 'identity_links') }}
    where dataset = 'bps/social_registry_families'
),

members as (
    select links.family_key, individual.period_start, count(*) as member_count
    from {{ ref('stg_bps__social_registry_individuals') }} as individual
    inner join {{ source('linkage', 'identity_links') }} as links
        on links.dataset = 'bps/social_registry_individuals' and links.record_key = individual.record_key
    where links.family_key is not null
    group by links.family_key, individual.period_start
),

families as (
    select
        coalesce(links.family_key, family.record_key) as family_key,
        family.*,
        row_number() over (
            partition by coalesce(links.family_key, family.record_key), family.period_start
            order by family.received_at desc, family.source_row desc
        ) as newest_first
    from {{ ref('stg_bps__social_registry_families') }} as family
    left join links on links.record_key = family.record_key
),

layouts as (
    -- A column that a delivery never fills was not in its layout: nobody was asked, so nobody failed to answer. DTSEN had
    -- struck-off families in its files: without their status nobody is known to count, unless the layout has none.
    select
        delivery_id,
        count(desil_p3ke) > 0 as has_p3ke,
        count(desil_kota) > 0 as has_city_desil,
        count(registry_status) > 0
        or min(ranking) = 'dtsen' and count(case when not has_status then 1 end) = 0 as has_registry_status
    from {{ ref('stg_bps__social_registry_families') }}
    group by delivery_id
),

parameters as (
    select
        {%- for name in living_standards_indicators() %}
        coalesce(max(case when parameter = 'weight' and indicator = '{{ name }}' then cast(value as {{ type_double() }}) end), 0)
            as weight_{{ name }},
        {%- endfor %}
        max(case when parameter = 'poverty_cutoff' then cast(value as {{ type_double() }}) end) as poverty_cutoff,
        max(case when parameter = 'deprived_below' and indicator = 'crowding' then cast(value as {{ type_double() }}) end)
            as floor_area_per_head,
        max(case when parameter = 'deprived_below' and indicator = 'assets' then cast(value as {{ type_double() }}) end)
            as small_assets
    from {{ ref('living_standards') }}
),

codes as (
    select indicator, variable, code, cast(nullif(value, '') as integer) as is_deprived
    from {{ ref('living_standards') }}
    where parameter = 'code'
),

{% set coded = {
    'water': 'id_sumber_airminum', 'toilet': 'id_fasilitas_bab', 'toilet_bowl': 'id_jenis_kloset',
    'sewage': 'id_pembuangan_tinja', 'floor': 'id_lantai_terluas', 'wall': 'id_dinding_terluas',
    'roof': 'id_atap_terluas', 'lighting': 'id_sumberpenerangan', 'fuel': 'id_bb_utama',
} %}
{% set small_assets = [
    'gas_cylinder', 'refrigerator', 'television', 'computer', 'motorcycle', 'bicycle', 'smartphone', 'telephone',
] %}
flagged as (
    select
        family.*,
        coalesce(nullif(family.family_size, 0), members.member_count) as person_count,
        case when family.family_size > 0 and members.member_count is not null
            then case when family.family_size = members.member_count then 1 else 0 end
        end as size_agrees,
        {%- for name in ['water', 'floor', 'wall', 'roof', 'lighting', 'fuel'] %}
        {{ name }}.is_deprived as deprived_{{ name }},
        {%- endfor %}
        {{ any_deprived(['toilet.is_deprived', 'toilet_bowl.is_deprived', 'sewage.is_deprived']) }} as deprived_sanitation,
        case
            when family.floor_area_m2 > 0 and coalesce(nullif(family.family_size, 0), members.member_count) > 0
            then case when family.floor_area_m2 / coalesce(nullif(family.family_size, 0), members.member_count)
                < parameters.floor_area_per_head then 1 else 0 end
        end as deprived_crowding,
        case
            when family.car_count > 0 then 0
            when {% for asset in small_assets %}
                case when family.{{ asset }}_count > 0 then 1 else 0 end{{ ' +' if not loop.last }}
                {%- endfor %} >= parameters.small_assets then 0
            -- A count below zero is no answer, neither of having nor of lacking.
            when family.car_count >= 0
                {%- for asset in small_assets %} and family.{{ asset }}_count >= 0{% endfor %} then 1
        end as deprived_assets,
        parameters.poverty_cutoff,
        {%- for name in living_standards_indicators() %}
        parameters.weight_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from families as family
    cross join parameters
    left join members on members.family_key = family.family_key and members.period_start = family.period_start
    {%- for name, variable in coded.items() %}
    left join codes as {{ name }} on {{ name }}.variable = '{{ variable }}' and {{ name }}.code = family.{{ name }}_code
    {%- endfor %}
    where family.newest_first = 1
),

scored as (
    select flagged.*, {{ deprivation_score('deprived_', 'weight_') }} as deprivation_score
    from flagged
),

ranked as (
    -- A family has its own ranking's row, and another for each further rank that the extract carries: never one column.
    select
        scored.*,
        layouts.has_registry_status,
        scored.ranking as ranked_by,
        {{ desil_label('scored.desil') }} as ranked_desil
    from scored
    inner join layouts on layouts.delivery_id = scored.delivery_id
    union all
    select scored.*, layouts.has_registry_status, 'p3ke', {{ desil_label('scored.desil_p3ke') }}
    from scored
    inner join layouts on layouts.delivery_id = scored.delivery_id and layouts.has_p3ke
    union all
    select scored.*, layouts.has_registry_status, 'dtsen_kota', {{ desil_label('scored.desil_kota') }}
    from scored
    inner join layouts on layouts.delivery_id = scored.delivery_id and layouts.has_city_desil
),

judged as (
    select
        ranked.*,
        {{ exclusion_reason('registry_status', 'presence_code', 'has_registry_status') }} as exclusion_reason
    from ranked
)

select
    family_key,
    ranked_by as ranking,
    period_start,
    {{ place('kemendagri_code', 'kecamatan_kemendagri_code') }} as kemendagri_code,
    ranked_desil as desil,
    exclusion_reason is null as is_in_scope,
    exclusion_reason,
    receives_pbi_pemda,
    cast(person_count as bigint) as person_count,
    cast(size_agrees as bigint) as size_agrees,
    {%- for name in living_standards_indicators() %}
    cast(deprived_{{ name }} as bigint) as is_deprived_{{ name }},
    {%- endfor %}
    cast(deprivation_score as {{ type_double() }}) as deprivation_score,
    cast({{ reaches_cutoff('deprivation_score', 'poverty_cutoff') }} as bigint) as is_multiply_deprived,
    cast(expenditure_per_head_idr as {{ type_double() }}) as expenditure_per_head_idr,
    {{ lineage_columns() }}
from judged
