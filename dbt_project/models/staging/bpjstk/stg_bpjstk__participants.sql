select
    record_key,
    nik_key,
    {{ lineage_columns() }},
    period_start,
    received_at,
    part as branch,
    segmen as segment,
    status_aktif = 'AKTIF' as is_active,
    program as programmes,
    tgl_kpj as registered_on,
    blth_iuran as last_contribution_month,
    iuran as contribution_idr,
    pembayar as payer,
    age_years
from {{ source('lake', 'bpjstk__participants') }}
