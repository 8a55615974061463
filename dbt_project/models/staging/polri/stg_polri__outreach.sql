select
    record_key,
    {{ lineage_columns() }},
    period_start,
    received_at,
    part as polsek,
    kemendagri_code,
    tanggal as held_on,
    session_number,
    segmen as segment,
    jenis_pekerja as worker_kind,
    jumlah_hadir as people_reached,
    jumlah_mendaftar as registrations_reported
from {{ source('lake', 'polri__outreach') }}
