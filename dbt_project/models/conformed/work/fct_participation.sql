/*
A participation (one card) in the feed of one month. Active is what the feed says at the month's end; a contribution month is
not demanded, since employers report late.
*/
with links as (
    select record_key, person_key, band
    from {{ source('linkage', 'identity_links') }}
    where dataset = 'bpjstk/participants'
)

select
    participant.record_key,
    coalesce(links.person_key, participant.record_key) as person_key,
    links.person_key is not null as is_linked,
    links.band as link_band,
    participant.period_start,
    participant.branch,
    participant.segment,
    participant.is_active,
    {%- for programme in ['JKK', 'JKM', 'JHT', 'JP', 'JKP'] %}
    coalesce({{ has_item('participant.programmes', programme) }}, false) as has_{{ programme | lower }},
    {%- endfor %}
    participant.nik_key is not null as has_usable_nik,
    participant.registered_on,
    {{ month_start('participant.registered_on') }} as registered_month,
    participant.payer,
    {{ lineage_columns('participant') }}
from {{ ref('stg_bpjstk__participants') }} as participant
left join links on links.record_key = participant.record_key
