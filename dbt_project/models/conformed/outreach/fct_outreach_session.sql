-- What a Bhabinkamtibmas session reports for one segment and kind of worker; a later sheet's row replaces an earlier one's.
with ordered as (
    select
        session.*,
        row_number() over (
            partition by
                coalesce(kemendagri_code, {{ unplaced_code() }}), held_on, session_number, polsek, segment, worker_kind
            order by received_at desc, source_row desc
        ) as newest_first
    from {{ ref('stg_polri__outreach') }} as session
)

select
    coalesce(kemendagri_code, {{ unplaced_code() }}) as kemendagri_code,
    held_on,
    {{ month_start('held_on') }} as held_month,
    cast(session_number as bigint) as session_number,
    polsek,
    segment,
    worker_kind,
    people_reached,
    registrations_reported,
    {{ lineage_columns() }}
from ordered
where newest_first = 1
