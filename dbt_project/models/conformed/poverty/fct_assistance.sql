-- A family on a programme's list in a month. The list's own rank is not kept: the registry's stands in fct_welfare.
with listed as (
    select
        coalesce(links.family_key, assistance.record_key) as family_key,
        assistance.*
    from {{ ref('stg_kemensos__assistance') }} as assistance
    left join {{ source('linkage', 'identity_links') }} as links
        on links.dataset = 'kemensos/assistance' and links.record_key = assistance.record_key
),

received as (
    {%- for programme in assistance_programmes() %}
    select
        family_key,
        '{{ programme }}' as programme,
        period_start,
        {{ place('kemendagri_code', 'kecamatan_kemendagri_code') }} as kemendagri_code,
        received_at,
        delivery_id,
        source_part,
        source_row
    from listed
    where receives_{{ programme }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

ordered as (
    select
        received.*,
        row_number() over (
            partition by family_key, programme, period_start order by received_at desc, source_row desc
        ) as newest_first
    from received
)

select
    family_key,
    programme,
    period_start,
    kemendagri_code,
    {{ lineage_columns() }}
from ordered
where newest_first = 1
