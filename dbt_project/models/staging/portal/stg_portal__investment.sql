select
    record_key,
    delivery_id,
    source_row,
    received_at,
    tahun as year_number,
    triwulan as quarter_number,
    jenis as investment_kind,
    realisasi_rp as investment_idr
from {{ source('lake', 'portal__investment') }}
