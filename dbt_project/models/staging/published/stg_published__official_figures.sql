select
    record_key,
    {{ lineage_columns() }},
    received_at,
    indikator as indicator,
    nama_wilayah as area_name,
    provinsi as province_name,
    bps_code,
    periode as period_label,
    nilai as value,
    satuan as unit,
    ci95_bawah as ci95_low,
    ci95_atas as ci95_high,
    sistem_sumber as source_system,
    judul_sumber as source_title,
    tanggal_terbit as published_on
from {{ source('lake', 'published__official_figures') }}
