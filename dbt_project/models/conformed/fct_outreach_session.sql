-- A Bhabinkamtibmas session and one segment it reached; the total is kept beside, since a sheet may give the total alone.
{% set segments = ['traders', 'motorcycle_taxi', 'angkot', 'domestic_workers', 'casual_workers', 'others'] %}
with sessions as (
    select
        session.*,
        row_number() over (
            partition by kemendagri_code, held_on, session_number order by received_at desc, source_row desc
        ) as newest_first
    from {{ ref('stg_polri__outreach') }} as session
),

counted as (
    select
        sessions.*,
        {{ month_start('held_on') }} as held_month,
        {%- for segment in segments %}
        coalesce(registered_{{ segment }}, 0){{ ' +' if not loop.last }}
        {%- endfor %} as registrations_reported
    from sessions
    where newest_first = 1
)

{%- for segment in ['all'] + segments %}
select
    coalesce(kemendagri_code, {{ unplaced_code() }}) as kemendagri_code,
    held_on,
    held_month,
    cast(session_number as bigint) as session_number,
    polsek,
    '{{ segment }}' as segment,
    {%- if segment == 'all' %}
    people_reached,
    registrations_reported,
    {%- else %}
    reached_{{ segment }} as people_reached,
    registered_{{ segment }} as registrations_reported,
    {%- endif %}
    delivery_id,
    source_part,
    source_row
from counted
{%- if segment != 'all' %}
where reached_{{ segment }} > 0 or registered_{{ segment }} > 0
{%- endif %}
{{ 'union all' if not loop.last }}
{%- endfor %}
