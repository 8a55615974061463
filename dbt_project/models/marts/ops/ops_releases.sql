-- What readers see is the pinned release, else the newest that is kept.
with kept as (
    select release_id, row_number() over (order by created_at desc) as place
    from {{ source('ledger', 'releases') }}
    where removed_at is null and disclosure = 'on'
),

decided as (
    select release_id, row_number() over (order by decided_at desc) as place
    from {{ source('ledger', 'pins') }}
),

seen as (
    select coalesce(decided.release_id, kept.release_id) as release_id
    from kept
    left join decided on decided.place = 1
    where kept.place = 1
)

select
    release.release_id,
    mart.mart,
    release.created_at,
    seen.release_id is not null as is_current,
    release.previous_release_id,
    release.code_version,
    mart.row_count,
    mart.content_hash,
    mart.cells_published,
    mart.cells_rounded,
    mart.rounding_base,
    mart.mean_error_kelurahan,
    mart.mean_error_kecamatan,
    mart.mean_error_kota,
    release.disclosure,
    release.scan_verdict
from {{ source('ledger', 'releases') }} as release
inner join {{ source('ledger', 'release_marts') }} as mart on mart.release_id = release.release_id
left join seen on seen.release_id = release.release_id
