select
    record_key,
    {{ lineage_columns() }},
    period_start,
    puskesmas as puskesmas_name,
    kemendagri_code,
    sasaran_balita as children_target
from {{ source('lake', 'kemenkes__under_five_targets') }}
