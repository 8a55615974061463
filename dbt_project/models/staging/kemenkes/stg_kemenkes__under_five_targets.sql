select
    record_key,
    delivery_id,
    source_part,
    source_row,
    period_start,
    puskesmas as puskesmas_name,
    kemendagri_code,
    sasaran_balita as children_target
from {{ source('lake', 'kemenkes__under_five_targets') }}
