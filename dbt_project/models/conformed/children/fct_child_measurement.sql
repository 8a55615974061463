-- z-scores come from raw measurements by WHO's rules; what the source exported stands beside and is never used instead.
with measured as (
    select
        record_key,
        sex,
        age_days,
        weight_kg,
        height_cm,
        measured_how,
        false as has_oedema -- e-PPGBM has no column for it
    from {{ ref('stg_kemenkes__eppgbm') }}
),

scored as (
    {{ who_zscores('measured') }}
),

-- The export names the child's kelurahan, not the posyandu's. A child from within the puskesmas' kecamatan is taken to go to
-- the posyandu of its own kelurahan; others went where most children of that posyandu's name at that puskesmas live.
attended as (
    select
        source.record_key,
        source.puskesmas,
        coalesce({{ posyandu_spelling('source.posyandu_name') }}, '(tanpa nama)') as posyandu_name,
        unit.kemendagri_code as service_kecamatan_code,
        case when substring(source.kemendagri_code, 1, 8) = unit.kemendagri_code then source.kemendagri_code end
            as home_kelurahan_code
    from {{ ref('stg_kemenkes__eppgbm') }} as source
    left join {{ ref('service_units') }} as unit on unit.kind = 'puskesmas' and unit.part = source.puskesmas
),

most_attended as (
    select puskesmas, posyandu_name, home_kelurahan_code
    from (
        select
            puskesmas,
            posyandu_name,
            home_kelurahan_code,
            row_number() over (
                partition by puskesmas, posyandu_name order by count(*) desc, home_kelurahan_code
            ) as place
        from attended
        where home_kelurahan_code is not null
        group by puskesmas, posyandu_name, home_kelurahan_code
    ) as ranked
    where place = 1
)

select
    source.record_key,
    coalesce(link.person_key, source.record_key) as person_key,
    link.family_key,
    link.band as link_band,
    source.nik_key is not null as has_nik,
    {{ lineage_columns('source') }},
    source.puskesmas,
    {{ dbt.concat([
        placed_kelurahan(
            'coalesce(attended.home_kelurahan_code, most_attended.home_kelurahan_code)', 'attended.service_kecamatan_code'
        ),
        "' '",
        'attended.posyandu_name',
    ]) }} as posyandu_key,
    source.received_at,
    source.measured_month,
    source.entry_lag_days,
    source.is_living_elsewhere,
    case when not source.is_living_elsewhere then {{ placed_kelurahan(
        'source.kemendagri_code', 'source.kecamatan_kemendagri_code') }} end as kemendagri_code,
    {{ placed_kelurahan('null', 'attended.service_kecamatan_code') }} as service_kemendagri_code,
    source.sex,
    source.age_days,
    cast(floor(source.age_days / 30.4375) as integer) as age_months,
    source.measured_how,
    source.height_cm is not null and source.measured_how is null as is_measured_how_missing,
    source.weight_kg,
    source.height_cm,
    scored.size_cm,
    scored.bmi,
    scored.haz,
    scored.waz,
    scored.whz,
    scored.baz,
    scored.is_haz_flagged,
    scored.is_waz_flagged,
    scored.is_whz_flagged,
    scored.is_baz_flagged,
    coalesce(not scored.is_haz_flagged, false) as is_haz_valid,
    coalesce(not scored.is_waz_flagged, scored.has_oedema) as is_waz_valid,
    coalesce(not scored.is_whz_flagged, scored.has_oedema) as is_whz_valid,
    haz_cutoff.category as haz_category,
    waz_cutoff.category as waz_category,
    whz_cutoff.category as whz_category,
    source.exported_haz,
    source.exported_waz,
    source.exported_whz,
    source.exported_haz_category,
    source.exported_waz_category,
    source.exported_whz_category
from {{ ref('stg_kemenkes__eppgbm') }} as source
inner join scored on scored.record_key = source.record_key
left join {{ source('linkage', 'identity_links') }} as link
    on link.record_key = source.record_key and link.dataset = 'kemenkes/eppgbm'
inner join attended on attended.record_key = source.record_key
left join most_attended
    on most_attended.puskesmas = attended.puskesmas and most_attended.posyandu_name = attended.posyandu_name
{{ join_permenkes('haz_cutoff', 'TB/U', 'scored.haz') }}
{{ join_permenkes('waz_cutoff', 'BB/U', 'scored.waz', 'scored.has_oedema') }}
{{ join_permenkes('whz_cutoff', 'BB/TB', 'scored.whz', 'scored.has_oedema') }}
