select
    record_key,
    nik_key,
    {{ lineage_columns() }},
    period_start,
    received_at,
    id_jenis_kelamin as sex_code,
    id_hub_kepala_keluarga as relation_code,
    age_years,
    id_partisipasi_sekolah as school_code,
    membantu_bekerja as working_code,
    id_lapangan_usaha_dari_usaha_utama as sector_code,
    id_status_kedudukan_pekerjaan_utama as work_status_code,
    desil_nasional_anggota as member_desil
from {{ source('lake', 'bps__social_registry_individuals') }}
